//! Plans of a core.

use serde_json::Value;

/// Whatever is in a plan, it is read or refused; what it marks is gone when it is masked, and each object's
/// calls begin and end as what is done to it says.
pub fn plans(data: &[u8]) {
    let plan = match plan::read(data) {
        Ok(plan) => plan,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    for object in &plan.objects {
        assert!(object.kind.starts_with("nhi_"));
        for (value, marks) in
            [(&object.before, &object.hidden_before), (&object.after, &object.hidden_after)]
        {
            let masked = marks.masked(value);
            assert!(marks.paths(&masked).is_empty(), "what is marked is still there");
            assert_eq!(marks.masked(&masked), masked);
        }
        for call in object.calls() {
            assert!(matches!(call.before, Value::Null) || !std::ptr::eq(call.before, call.after));
        }
    }
}
