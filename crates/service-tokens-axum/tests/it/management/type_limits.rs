//! Limits per type, tokens of a removed type, and the index of an invalid scope.

use serde_json::{Value, json};
use service_tokens::TokenType;

use super::{api, api_with};
use crate::harness::send;
