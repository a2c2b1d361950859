//! Texts of a configuration as people may read them: what only jobs are to know is masked as in their logs.

use masking::Masker;
use protocol::api::Variables;

/// Of everything that the jobs of a pipeline are given in secret.
pub(super) fn masker(variables: &Variables) -> Masker {
    let all = variables.environment.iter().chain(variables.contexts.values().flatten());
    Masker::new(all.filter(|variable| variable.secret).map(|variable| variable.value.clone()))
}

/// The text without secrets.
pub(super) fn hide(text: String, masker: &Masker) -> String {
    if masker.is_empty() {
        return text;
    }
    let (mut masker, mut shown) = (masker.fresh(), Vec::with_capacity(text.len()));
    masker.push(text.as_bytes(), &mut shown);
    masker.flush(&mut shown);
    String::from_utf8_lossy(&shown).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::task::Variable;

    fn variable(value: &str, secret: bool) -> Variable {
        Variable { name: "V".to_owned(), value: value.to_owned(), secret }
    }

    #[test]
    fn a_secret_is_hidden_and_what_logs_show_is_shown() {
        let environment = vec![variable("hunter2", true), variable("true", true), variable("plain", false)];
        let masker = masker(&Variables { environment, ..Variables::default() });
        assert_eq!(hide("login hunter2, true, plain".to_owned(), &masker), "login ****, true, plain");
    }
}
