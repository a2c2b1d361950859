//! Policies and configurations, and what comes of them; and policies that would take all there is.

#[cfg(test)]
mod checks;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod table;

/// Texts by names.
#[cfg(test)]
fn texts(all: &[(&str, &str)]) -> std::collections::BTreeMap<String, String> {
    all.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}
