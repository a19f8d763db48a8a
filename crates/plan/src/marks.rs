//! Which parts of a value are marked as sensitive. A core shows them in clear text, with the marks in a
//! tree beside.

use std::collections::BTreeMap;

use serde_json::Value;

/// Which parts of a value are marked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Marks {
    /// Nothing of it.
    #[default]
    None,
    /// All of it.
    All,
    /// Some of its members.
    Members(BTreeMap<String, Marks>),
    /// Some of its items.
    Items(Vec<Marks>),
}

impl Marks {
    /// The tree of marks beside a value.
    pub fn read(tree: &Value) -> Marks {
        let is_none = |one: &Marks| *one == Marks::None;
        match tree {
            Value::Bool(true) => Marks::All,
            Value::Object(all) => {
                let some = all.iter().map(|(name, one)| (name.clone(), Marks::read(one)));
                let some: BTreeMap<String, Marks> = some.filter(|(_, one)| !is_none(one)).collect();
                if some.is_empty() { Marks::None } else { Marks::Members(some) }
            }
            Value::Array(all) => {
                let all: Vec<Marks> = all.iter().map(Marks::read).collect();
                if all.iter().all(is_none) { Marks::None } else { Marks::Items(all) }
            }
            _ => Marks::None,
        }
    }

    /// The value without what is marked.
    pub fn masked(&self, value: &Value) -> Value {
        match (value, self) {
            (value, Marks::None) => value.clone(),
            (Value::Object(all), Marks::Members(marks)) => {
                let of = |name: &String| marks.get(name).unwrap_or(&Marks::None);
                let all = all.iter().map(|(name, one)| (name.clone(), of(name).masked(one)));
                Value::Object(all.collect())
            }
            (Value::Array(all), Marks::Items(marks)) => {
                let of = |at: usize| marks.get(at).unwrap_or(&Marks::None);
                all.iter().enumerate().map(|(at, one)| of(at).masked(one)).collect()
            }
            // All of it, or marks of another build than their value: all of it, then.
            _ => Value::Null,
        }
    }

    /// The paths of what is marked and there.
    pub fn paths(&self, value: &Value) -> Vec<String> {
        let mut found = Vec::new();
        self.collect(value, "", &mut found);
        found
    }

    fn collect(&self, value: &Value, path: &str, found: &mut Vec<String>) {
        let join = |name: &str| match path {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        };
        match (value, self) {
            (_, Marks::None) | (Value::Null, _) => {}
            (Value::Object(all), Marks::Members(marks)) => {
                for (name, marks) in marks {
                    marks.collect(all.get(name).unwrap_or(&Value::Null), &join(name), found);
                }
            }
            (Value::Array(all), Marks::Items(marks)) => {
                for (at, (one, marks)) in all.iter().zip(marks).enumerate() {
                    marks.collect(one, &join(&at.to_string()), found);
                }
            }
            _ => found.push(if path.is_empty() { "all of it" } else { path }.to_owned()),
        }
    }
}
