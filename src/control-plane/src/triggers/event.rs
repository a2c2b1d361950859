//! What happened to a repository, whoever tells of it.

use protocol::{api::Fork, repository};

/// So much of a message is looked at for a word that skips it.
const LOOKED_AT: usize = 250;
/// The most events of one webhook.
pub(super) const MOST: usize = 10;

/// What is said of a deletion.
pub(super) const DELETED: &str = "nothing is made of a branch or tag that is deleted";

/// What a webhook tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing that makes a pipeline, and why.
    Nothing(String),
    /// What does.
    Events(Vec<Event>),
}

/// A commit that is there now, or a branch or tag that is deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    /// Its full id.
    pub(crate) revision: String,
    /// Branch xor tag.
    pub(crate) branch: Option<String>,
    /// Branch xor tag.
    pub(crate) tag: Option<String>,
    /// The one that others come from, where it was told.
    pub(crate) default_branch: Option<String>,
    /// Of the commit, or the title of the pull request.
    pub(crate) message: String,
    /// `push`, or what happened to the pull request.
    pub(crate) action: String,
    pub(crate) pull_request: Option<Proposal>,
    /// By whose account it happened, as the provider calls that.
    pub(crate) account: Option<String>,
    /// Whether the branch or tag is there no more: then it has no commit.
    pub(crate) is_deleted: bool,
}

/// A pull request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Proposal {
    pub(crate) url: String,
    /// Of another repository, its commits come from there.
    pub(crate) fork: Option<Fork>,
}

impl Event {
    /// Whether its message begins with words that want no pipeline.
    pub(super) fn asks_to_be_skipped(&self) -> bool {
        let looked_at: String = self.message.chars().take(LOOKED_AT).collect();
        ["[skip ci]", "[ci skip]"].iter().any(|word| looked_at.contains(word))
    }

    /// Under which name the provider has it.
    pub(crate) fn reference(&self) -> Option<String> {
        let is_of_fork = self.pull_request.as_ref().is_some_and(|proposal| proposal.fork.is_some());
        let tag = self.tag.as_ref().map(|tag| format!("refs/tags/{tag}"));
        let named = |branch: &String| match is_of_fork {
            true => repository::reference_of(branch),
            false => format!("refs/heads/{branch}"),
        };
        tag.or_else(|| self.branch.as_ref().map(named))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_in_the_beginning_of_a_message_skips_it() {
        let skipped =
            |message: &str| Event { message: message.to_owned(), ..Event::default() }.asks_to_be_skipped();
        assert!(skipped("teach [skip ci]") && skipped("teach\n\n[ci skip] it"));
        assert!(!skipped("teach [skip]") && !skipped(&format!("{}[skip ci]", "ä".repeat(250))));
        assert!(skipped(&format!("{}[skip ci]", "ä".repeat(241))), "characters count, not bytes");
    }
}
