//! The MCP server: what an agent may look up.

use std::sync::Arc;

use rmcp::{
    Json, ServerHandler,
    handler::server::{router::tool::ToolRouter, wrapper::Parameters},
    model::{Implementation, ServerCapabilities, ServerConfig},
    tool, tool_handler, tool_router,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    menu::{MENU, euros},
    orders::Orders,
};

/// The tools of one client.
#[derive(Clone)]
pub(crate) struct ShopTools {
    orders: Arc<Orders>,
    tool_router: ToolRouter<Self>,
}

/// The menu.
#[derive(Serialize, JsonSchema)]
struct Menu {
    drinks: Vec<MenuEntry>,
}

/// A line of the menu.
#[derive(Serialize, JsonSchema)]
struct MenuEntry {
    /// Name of the drink.
    name: String,
    /// Price of a regular one.
    price: String,
}

/// Which order is asked for.
#[derive(Deserialize, JsonSchema)]
struct WhichOrder {
    /// Its number, as it was told when the order was placed.
    number: u64,
}

/// Where an order is.
#[derive(Serialize, JsonSchema)]
struct OrderStatus {
    number: u64,
    drink: String,
    quantity: u32,
    /// Minutes until it is ready.
    ready_in_minutes: u32,
}

/// What was given back.
#[derive(Serialize, JsonSchema)]
struct Refund {
    number: u64,
    /// How much.
    refunded: String,
}

#[tool_router]
impl ShopTools {
    pub(crate) fn new(orders: Arc<Orders>) -> Self {
        Self {
            orders,
            tool_router: Self::tool_router(),
        }
    }

    #[tool(description = "The drinks there are, with the price of a regular one.")]
    async fn menu_list(&self) -> Json<Menu> {
        let drinks = MENU.map(|drink| MenuEntry {
            name: drink.name.to_owned(),
            price: euros(drink.cents),
        });
        Json(Menu {
            drinks: drinks.into(),
        })
    }

    #[tool(description = "Where an order is, by its number.")]
    async fn order_status(
        &self,
        Parameters(WhichOrder { number }): Parameters<WhichOrder>,
    ) -> Result<Json<OrderStatus>, String> {
        let order = self
            .orders
            .find(number)
            .ok_or_else(|| format!("there is no order {number}"))?;
        Ok(Json(OrderStatus {
            number,
            drink: order.drink.to_owned(),
            quantity: order.quantity,
            ready_in_minutes: order.ready_in_minutes,
        }))
    }

    #[tool(description = "Gives the price of an order back, by its number.")]
    async fn refund_order(
        &self,
        Parameters(WhichOrder { number }): Parameters<WhichOrder>,
    ) -> Result<Json<Refund>, String> {
        let order = self.orders.refund(number)?;
        Ok(Json(Refund {
            number,
            refunded: order.price,
        }))
    }
}

#[tool_handler(router = self.tool_router)]
impl ServerHandler for ShopTools {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build()).with_server_info(
            Implementation::new("barista-shop", env!("CARGO_PKG_VERSION")),
        )
    }
}
