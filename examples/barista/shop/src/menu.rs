//! What the shop sells.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A drink and its price.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub(crate) struct Drink {
    /// Its name.
    pub(crate) name: &'static str,
    /// Price of a regular one, in cents of a euro.
    pub(crate) cents: u32,
}

/// Everything there is.
pub(crate) const MENU: [Drink; 6] = [
    Drink {
        name: "espresso",
        cents: 240,
    },
    Drink {
        name: "flat white",
        cents: 380,
    },
    Drink {
        name: "cappuccino",
        cents: 360,
    },
    Drink {
        name: "latte",
        cents: 400,
    },
    Drink {
        name: "filter coffee",
        cents: 300,
    },
    Drink {
        name: "tea",
        cents: 280,
    },
];

/// How much of a drink.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Size {
    /// A little less, 50 cents cheaper.
    Small,
    /// As it comes.
    #[default]
    Regular,
    /// A little more, for 80 cents.
    Large,
}

impl Size {
    pub(crate) fn price(self, drink: Drink) -> u32 {
        match self {
            Self::Small => drink.cents - 50,
            Self::Regular => drink.cents,
            Self::Large => drink.cents + 80,
        }
    }
}

/// A price for people: `3.80 €`.
pub(crate) fn euros(cents: u32) -> String {
    format!("{}.{:02} €", cents / 100, cents % 100)
}
