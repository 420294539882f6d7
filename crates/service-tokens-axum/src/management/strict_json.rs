//! A strict JSON reader that refuses repeated names and null, and names the field in each error.

use std::collections::HashSet;
use std::fmt;

use serde::de::value::StringDeserializer;
use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess,
    SeqAccess, Unexpected, VariantAccess, Visitor,
};

/// The maximum number of characters of a name that an answer repeats.
///
/// Every valid name fits. A client may also send a token as a name. Its secret begins after a prefix of at
/// least one character, `_1` and an id of 22 characters, so no character of the secret is repeated.
const MAX_SHOWN_NAME: usize = 25;

/// Returns the part of a name that an answer may repeat.
pub(super) fn shown_name(name: &str) -> String {
    name.chars().take(MAX_SHOWN_NAME).collect()
}

/// Any JSON value. Objects keep all members, also repeated ones.
#[derive(Debug)]
pub(super) enum Json {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Json;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }

            fn visit_unit<E>(self) -> Result<Json, E> {
                Ok(Json::Null)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
                Ok(Json::Bool(value))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
                Ok(Json::Unsigned(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
                Ok(Json::Signed(value))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
                Ok(Json::Float(value))
            }

            fn visit_str<E>(self, value: &str) -> Result<Json, E> {
                Ok(Json::Text(value.to_owned()))
            }

            fn visit_string<E>(self, value: String) -> Result<Json, E> {
                Ok(Json::Text(value))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = list.next_element()? {
                    values.push(value);
                }
                Ok(Json::List(values))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Json::Object(members))
            }
        }

        deserializer.deserialize_any(Any)
    }
}

/// The field that breaks a rule, and the rule. It never contains a value, because a value may be a token.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct BrokenRule {
    /// The field, or `None` for the whole body.
    pub(super) field: Option<String>,
    /// The index of the entry, counted from 0, if the field is an array.
    pub(super) index: Option<usize>,
    pub(super) rule: String,
}

impl BrokenRule {
    /// Adds the name of the field. For a nested field the outermost name remains.
    fn in_field(self, name: &str) -> Self {
        let (index, rule) = match self.field {
            Some(_) => (None, format!("has a member that {}", self.rule)),
            None => (self.index, self.rule),
        };
        Self { field: Some(shown_name(name)), index, rule }
    }

    /// Adds the index of an entry. For an entry that is an object the field of that object remains.
    fn at_index(mut self, index: usize) -> Self {
        self.index = self.field.is_none().then_some(index);
        self
    }
}

impl fmt::Display for BrokenRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.field.as_deref().unwrap_or("the body"), self.rule)
    }
}

impl std::error::Error for BrokenRule {}

impl de::Error for BrokenRule {
    fn custom<T: fmt::Display>(rule: T) -> Self {
        Self { field: None, index: None, rule: rule.to_string() }
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        match &*expected.to_string() {
            "a sequence" => Self::custom("must be an array"),
            "a map" => Self::custom("must be an object"),
            "a boolean" => Self::custom("must be true or false"),
            expected => Self::custom(format_args!("must be {expected}")),
        }
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::custom(format_args!("must be {expected}"))
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::custom(format_args!("must be one of: {}", expected.join(", ")))
    }

    fn unknown_field(field: &str, _: &'static [&'static str]) -> Self {
        Self::custom("is unknown here").in_field(field)
    }

    fn missing_field(field: &'static str) -> Self {
        Self::custom("is required").in_field(field)
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::custom("must not be repeated").in_field(field)
    }
}

impl<'de> Deserializer<'de> for Json {
    type Error = BrokenRule;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, BrokenRule> {
        match self {
            Self::Null => Err(de::Error::custom("must not be null, but may be absent")),
            Self::Bool(value) => visitor.visit_bool(value),
            Self::Unsigned(value) => visitor.visit_u64(value),
            Self::Signed(value) => visitor.visit_i64(value),
            Self::Float(value) => visitor.visit_f64(value),
            Self::Text(value) => visitor.visit_string(value),
            Self::List(values) => visitor.visit_seq(Elements(values.into_iter().enumerate())),
            Self::Object(members) => visitor.visit_map(Members::new(members)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, BrokenRule> {
        match self {
            Self::Null => self.deserialize_any(visitor),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, BrokenRule> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, BrokenRule> {
        match self {
            Self::Text(name) => visitor.visit_enum(Name(name)),
            Self::Null => self.deserialize_any(visitor),
            _ => Err(de::Error::unknown_variant("", names)),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

struct Elements(std::iter::Enumerate<std::vec::IntoIter<Json>>);

impl<'de> SeqAccess<'de> for Elements {
    type Error = BrokenRule;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, BrokenRule> {
        let Some((index, value)) = self.0.next() else { return Ok(None) };
        seed.deserialize(value).map(Some).map_err(|broken| broken.at_index(index))
    }
}

struct Members {
    rest: std::vec::IntoIter<(String, Json)>,
    seen: HashSet<String>,
    value: Option<(String, Json)>,
}

impl Members {
    fn new(members: Vec<(String, Json)>) -> Self {
        Self { rest: members.into_iter(), seen: HashSet::new(), value: None }
    }
}

impl<'de> MapAccess<'de> for Members {
    type Error = BrokenRule;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, BrokenRule> {
        let Some((name, value)) = self.rest.next() else { return Ok(None) };
        if !self.seen.insert(name.clone()) {
            return Err(BrokenRule::in_field(de::Error::custom("must not be repeated"), &name));
        }
        let key: StringDeserializer<BrokenRule> = name.clone().into_deserializer();
        self.value = Some((name, value));
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, BrokenRule> {
        let Some((name, value)) = self.value.take() else {
            return Err(de::Error::custom("has a value without a name"));
        };
        seed.deserialize(value).map_err(|broken| broken.in_field(&name))
    }
}

/// The name of an enum variant.
struct Name(String);

impl<'de> EnumAccess<'de> for Name {
    type Error = BrokenRule;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Self), BrokenRule> {
        let name: StringDeserializer<BrokenRule> = self.0.clone().into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> VariantAccess<'de> for Name {
    type Error = BrokenRule;

    fn unit_variant(self) -> Result<(), BrokenRule> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, BrokenRule> {
        Err(de::Error::custom("must be a name alone"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, BrokenRule> {
        Err(de::Error::custom("must be a name alone"))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, BrokenRule> {
        Err(de::Error::custom("must be a name alone"))
    }
}
