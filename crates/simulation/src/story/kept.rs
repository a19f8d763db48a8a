//! A story that broke a promise once, as a file: what may happen in it, and every choice. Or one that breaks
//! it where a rule is forgotten, and then alone.

use serde_json::{Value, json};

use super::{Bounds, PLANTED, Planted, Scene, Teller, Told, WAYS};
use crate::choices::Choices;

/// A story that is kept.
#[derive(Debug, Clone)]
pub struct Kept {
    /// What was wrong, in a few words.
    pub what: String,
    /// The promise that it broke.
    pub broke: String,
    bounds: Bounds,
    /// The rule that is forgotten where it breaks it.
    without: Option<&'static Planted>,
    choices: Vec<u16>,
    /// What is unusual in it, in words: the same choices are another story where the world is another.
    tells: Vec<String>,
}

/// What is unusual in a story: faults, hands, and who begins what.
fn unusual(words: &str) -> Vec<String> {
    let told = words.lines().skip_while(|line| !line.starts_with("-- "));
    let usual = |line: &&str| {
        let after = ["Done", "-- at rest"].iter().any(|end| line.ends_with(end));
        after
            || line.contains(" is done: ")
            || line.contains(" stops: ")
            || line.contains(" s pass")
    };
    told.filter(|line| !usual(line)).map(str::to_owned).collect()
}

impl Kept {
    /// What broke just now.
    pub fn of(what: &str, bounds: &Bounds, told: &Told) -> Kept {
        Kept {
            what: what.to_owned(),
            broke: told.broken.clone().unwrap_or_default(),
            bounds: Bounds { bug: None, wanted: None, ..*bounds },
            without: PLANTED.iter().find(|planted| Some(planted.bug) == bounds.bug),
            choices: told.choices.clone(),
            tells: unusual(&told.words),
        }
    }

    /// Reads one.
    ///
    /// # Errors
    ///
    /// It is none.
    pub fn read(text: &str) -> Result<Kept, String> {
        let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let word = |name: &str| value[name].as_str().map(str::to_owned).ok_or(format!("no {name}"));
        let count = |name: &str| {
            let number = value[name].as_u64().and_then(|number| usize::try_from(number).ok());
            number.ok_or(format!("no {name}"))
        };
        let (way, scene) = (word("way")?, word("scene")?);
        let of_word = |one: &Scene| one.as_str() == scene;
        let rule = value["without"].as_str();
        let without = rule.map(|rule| PLANTED.iter().find(|planted| planted.rule == rule));
        let list = |name: &str| value[name].as_array().cloned().ok_or(format!("no {name}"));
        let choices = list("choices")?;
        let choices =
            choices.iter().map(|one| one.as_u64().and_then(|one| u16::try_from(one).ok()));
        Ok(Kept {
            what: word("what")?,
            broke: word("broke")?,
            bounds: Bounds {
                way: WAYS.into_iter().find(|one| *one == way).ok_or("no such way")?,
                runs: count("runs")?,
                faults: count("faults")?,
                scene: Scene::ALL.into_iter().find(of_word).ok_or("no such scene")?,
                bug: None,
                wanted: None,
            },
            without: without.map(|found| found.ok_or("no such rule")).transpose()?,
            choices: choices.collect::<Option<_>>().ok_or("a choice is no small number")?,
            tells: list("tells")?.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        })
    }

    /// Writes it.
    pub fn text(&self) -> String {
        let Bounds { way, runs, faults, scene, .. } = self.bounds;
        let mut value = json!({
            "what": self.what,
            "broke": self.broke,
            "way": way,
            "runs": runs,
            "faults": faults,
            "scene": scene.as_str(),
            "choices": self.choices,
            "tells": self.tells,
        });
        if let Some(planted) = self.without {
            value["without"] = planted.rule.into();
        }
        let pretty = serde_json::to_string_pretty(&value).unwrap_or_default();
        // Choices in a line: there are many, and each is a number.
        let choices = serde_json::to_string(&self.choices).unwrap_or_default();
        match pretty.split_once("\"choices\": [") {
            Some((before, rest)) => {
                let after = rest.split_once(']').map_or("", |(_, after)| after);
                format!("{before}\"choices\": {choices}{after}\n")
            }
            None => pretty,
        }
    }

    /// Tells it again; the same story, with what is unusual in it as it is now.
    ///
    /// # Errors
    ///
    /// A promise is broken in it, with the whole story; or none is where its rule is forgotten.
    pub fn again(&self, teller: &mut Teller) -> Result<Kept, String> {
        if let Some(planted) = self.without {
            let bounds = self.bounds.without(planted.bug);
            let told = teller.aloud(Choices::of(self.choices.clone()), &bounds);
            let promise = self.broke.split(':').next().unwrap_or_default();
            if !told.broken.as_ref().is_some_and(|broken| broken.starts_with(promise)) {
                let broken = told.broken.unwrap_or_else(|| "nothing".to_owned());
                let rule = planted.rule;
                return Err(format!("without {rule} {broken} is broken in it\n{}", told.words));
            }
        }
        let told = teller.aloud(Choices::of(self.choices.clone()), &self.bounds);
        match told.broken {
            Some(broken) => Err(format!("{broken}\n{}", told.words)),
            None => Ok(Kept { tells: unusual(&told.words), ..self.clone() }),
        }
    }

    /// Both tell the same.
    pub fn is_as(&self, other: &Kept) -> bool {
        self.tells == other.tells
    }
}
