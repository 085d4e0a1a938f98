//! Orders, and who placed them.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize};

use crate::menu::{MENU, Size, euros};

/// How many orders are remembered; the oldest is forgotten.
const REMEMBERED: usize = 1000;

/// How long one takes, in minutes.
const MINUTES: u32 = 4;

/// What somebody wants.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Wish {
    drink: String,
    #[serde(default)]
    size: Size,
    #[serde(default = "one")]
    quantity: u32,
}

fn one() -> u32 {
    1
}

/// An order that was placed.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Order {
    pub(crate) number: u64,
    pub(crate) drink: &'static str,
    pub(crate) size: Size,
    pub(crate) quantity: u32,
    pub(crate) price: String,
    pub(crate) ready_in_minutes: u32,
}

/// What is known of somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Person {
    /// How many orders of theirs are remembered.
    orders: usize,
    /// What they order most.
    usual: Option<&'static str>,
}

/// All orders.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    taken: u64,
    entries: VecDeque<Entry>,
}

#[derive(Debug)]
struct Entry {
    person: String,
    key: Option<String>,
    order: Order,
    refunded: bool,
}

impl Orders {
    /// Places an order; a second one of the same person under the same key is the first.
    ///
    /// # Errors
    /// What is wrong with the wish, in words.
    pub(crate) fn place(
        &self,
        person: &str,
        key: Option<&str>,
        wish: &Wish,
    ) -> Result<Order, String> {
        let drink = MENU
            .into_iter()
            .find(|drink| drink.name == wish.drink)
            .ok_or_else(|| {
                let names = MENU.map(|drink| drink.name).join(", ");
                format!(
                    "there is no {:?} on the menu; there are {names}",
                    wish.drink
                )
            })?;
        if !(1..=20).contains(&wish.quantity) {
            return Err("an order is for 1 to 20 drinks".to_owned());
        }
        let mut book = self.book();
        let placed = book
            .entries
            .iter()
            .find(|entry| key.is_some() && entry.key.as_deref() == key && entry.person == person);
        if let Some(placed) = placed {
            return Ok(placed.order.clone());
        }
        book.taken += 1;
        let order = Order {
            number: book.taken,
            drink: drink.name,
            size: wish.size,
            quantity: wish.quantity,
            price: euros(wish.size.price(drink) * wish.quantity),
            ready_in_minutes: MINUTES,
        };
        if book.entries.len() == REMEMBERED {
            book.entries.pop_front();
        }
        book.entries.push_back(Entry {
            person: person.to_owned(),
            key: key.map(str::to_owned),
            order: order.clone(),
            refunded: false,
        });
        Ok(order)
    }

    /// The order with this number, if it is remembered.
    pub(crate) fn find(&self, number: u64) -> Option<Order> {
        let book = self.book();
        book.entries
            .iter()
            .find(|entry| entry.order.number == number)
            .map(|entry| entry.order.clone())
    }

    /// Gives the price of an order back, once.
    ///
    /// # Errors
    /// Why there is nothing to give back, in words.
    pub(crate) fn refund(&self, number: u64) -> Result<Order, String> {
        let mut book = self.book();
        let entry = book
            .entries
            .iter_mut()
            .find(|entry| entry.order.number == number)
            .ok_or_else(|| format!("there is no order {number}"))?;
        if std::mem::replace(&mut entry.refunded, true) {
            return Err(format!("order {number} was refunded before"));
        }
        Ok(entry.order.clone())
    }

    /// What is known of somebody.
    pub(crate) fn person(&self, person: &str) -> Person {
        let book = self.book();
        let mut counts: BTreeMap<&'static str, usize> = BTreeMap::new();
        for entry in book.entries.iter().filter(|entry| entry.person == person) {
            *counts.entry(entry.order.drink).or_default() += 1;
        }
        Person {
            orders: counts.values().sum(),
            usual: counts
                .into_iter()
                .max_by_key(|(_, count)| *count)
                .map(|(drink, _)| drink),
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        // Nothing that holds the lock can leave the book half written.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(drink: &str, quantity: u32) -> Wish {
        Wish {
            drink: drink.to_owned(),
            size: Size::Large,
            quantity,
        }
    }

    #[test]
    fn an_order_is_priced_numbered_and_found_again() {
        let orders = Orders::default();
        let order = orders.place("ana", None, &wish("flat white", 2)).unwrap();
        assert_eq!((order.number, order.price.as_str()), (1, "9.20 €"));
        assert_eq!(orders.find(1).unwrap().drink, "flat white");
        assert!(orders.find(2).is_none());
    }

    #[test]
    fn an_order_is_refunded_once() {
        let orders = Orders::default();
        orders.place("ana", None, &wish("tea", 1)).unwrap();
        assert_eq!(orders.refund(1).unwrap().number, 1);
        assert!(orders.refund(1).unwrap_err().contains("before"));
        assert!(orders.refund(2).unwrap_err().contains("no order 2"));
    }

    #[test]
    fn the_same_key_orders_once() {
        let orders = Orders::default();
        let first = orders.place("ana", Some("k"), &wish("tea", 1)).unwrap();
        assert_eq!(
            orders
                .place("ana", Some("k"), &wish("tea", 1))
                .unwrap()
                .number,
            first.number
        );
        assert_ne!(
            orders
                .place("bo", Some("k"), &wish("tea", 1))
                .unwrap()
                .number,
            first.number
        );
        assert_ne!(
            orders.place("ana", None, &wish("tea", 1)).unwrap().number,
            first.number
        );
    }

    #[test]
    fn what_is_not_on_the_menu_is_refused_with_what_is() {
        let error = Orders::default()
            .place("ana", None, &wish("soup", 1))
            .unwrap_err();
        assert!(
            error.contains("soup") && error.contains("flat white"),
            "{error}"
        );
        assert!(
            Orders::default()
                .place("ana", None, &wish("tea", 0))
                .is_err()
        );
    }

    #[test]
    fn the_usual_is_what_somebody_orders_most() {
        let orders = Orders::default();
        assert_eq!(
            orders.person("ana"),
            Person {
                orders: 0,
                usual: None
            }
        );
        for drink in ["tea", "latte", "latte"] {
            orders.place("ana", None, &wish(drink, 1)).unwrap();
        }
        orders.place("bo", None, &wish("tea", 1)).unwrap();
        assert_eq!(
            orders.person("ana"),
            Person {
                orders: 3,
                usual: Some("latte")
            }
        );
    }

    #[test]
    fn the_book_does_not_grow_without_end() {
        let orders = Orders::default();
        for _ in 0..=REMEMBERED {
            orders.place("ana", None, &wish("tea", 1)).unwrap();
        }
        assert!(orders.find(1).is_none());
        assert_eq!(orders.person("ana").orders, REMEMBERED);
    }
}
