//! The configuration of a repository that is copied: what it needs to work, and nothing that is its author's secret.

/// Sections of which everything is kept. What is in none of these lists does not go along: a section nobody has heard
/// of may hold a token.
const KEPT_SECTIONS: [&str; 15] = [
    "branch",
    "diff",
    "extensions",
    "feature",
    "fetch",
    "filter",
    "gc",
    "index",
    "lfs",
    "merge",
    "pack",
    "pull",
    "remote",
    "status",
    "submodule",
];

/// Keys that are kept of other sections. Hooks, programs and absolute paths of the author's are not among them.
const KEPT_KEYS: [&str; 24] = [
    "core.abbrev",
    "core.autocrlf",
    "core.bare",
    "core.bigfilethreshold",
    "core.checkroundtripencoding",
    "core.checkstat",
    "core.commitgraph",
    "core.eol",
    "core.filemode",
    "core.ignorecase",
    "core.logallrefupdates",
    "core.multipackindex",
    "core.precomposeunicode",
    "core.quotepath",
    "core.repositoryformatversion",
    "core.safecrlf",
    "core.sparsecheckout",
    "core.sparsecheckoutcone",
    "core.splitindex",
    "core.symlinks",
    "core.trustctime",
    "core.untrackedcache",
    "user.email",
    "user.name",
];

/// Keys of kept sections that are not kept after all.
const DROPPED_KEYS: [&str; 2] = ["extensions.worktreeconfig", "remote.proxy"];

/// What decides how files are compared, wherever it is set: an author's own settings go along where git would
/// otherwise see changes that the author does not.
const ANYWHERE: [&str; 8] = [
    "core.autocrlf",
    "core.eol",
    "core.quotepath",
    "diff.ignoresubmodules",
    "diff.renames",
    "status.relativepaths",
    "status.renames",
    "status.showuntrackedfiles",
];

/// One setting, as `git config --list -z` tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    /// Lower case.
    section: String,
    subsection: Option<String>,
    /// Lower case.
    name: String,
    /// None: the key alone, which means true.
    value: Option<String>,
}

impl Setting {
    fn read(record: &[u8]) -> Option<Self> {
        let record = std::str::from_utf8(record).ok()?;
        let (key, value) =
            record.split_once('\n').map_or((record, None), |(key, value)| (key, Some(value.to_owned())));
        let (section, rest) = key.split_once('.')?;
        let (subsection, name) =
            rest.rsplit_once('.').map_or((None, rest), |(sub, name)| (Some(sub.to_owned()), name));
        Some(Self { section: section.to_owned(), subsection, name: name.to_owned(), value })
    }

    /// Without its subsection.
    fn key(&self) -> String {
        format!("{}.{}", self.section, self.name)
    }

    fn is_kept(&self) -> bool {
        let key = self.key();
        let listed = KEPT_SECTIONS.contains(&self.section.as_str()) || KEPT_KEYS.contains(&key.as_str());
        listed && !DROPPED_KEYS.contains(&key.as_str())
    }

    fn is_kept_from_anywhere(&self) -> bool {
        self.section == "filter" || ANYWHERE.contains(&self.key().as_str())
    }

    fn write(&self, file: &mut String) {
        let subsection = self.subsection.as_deref().map(without_credentials);
        let subsection =
            subsection.map(|name| format!(" \"{}\"", name.replace('\\', "\\\\").replace('"', "\\\"")));
        file.push_str(&format!("[{}{}]\n\t{}", self.section, subsection.unwrap_or_default(), self.name));
        if let Some(value) = &self.value {
            file.push_str(&format!(" = \"{}\"", escaped(&without_credentials(value))));
        }
        file.push('\n');
    }
}

/// Settings as `git config --list -z` prints them.
pub(crate) fn settings(printed: &[u8]) -> Vec<Setting> {
    printed.split(|byte| *byte == 0).filter_map(Setting::read).collect()
}

/// Whether the programs that filters name go along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filters {
    Kept,
    LeftOut,
}

/// The file for a copy: of all settings that are in force, and of the repository's own, those that are kept.
pub(crate) fn file(in_force: &[Setting], own: &[Setting], filters: Filters) -> String {
    let mut file = String::new();
    let from_anywhere = in_force.iter().filter(|setting| setting.is_kept_from_anywhere());
    let kept = from_anywhere.chain(own.iter().filter(|setting| setting.is_kept()));
    kept.filter(|setting| filters == Filters::Kept || setting.section != "filter")
        .for_each(|setting| setting.write(&mut file));
    file
}

fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
        .replace('\t', "\\t")
        .replace('\u{8}', "\\b")
}

/// An address without password or token; of the web's protocols, without user too. Anything else as it is.
pub(crate) fn without_credentials(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else {
        return address.to_owned();
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let Some((user, host)) = authority.rsplit_once('@') else {
        return address.to_owned();
    };
    let path = &rest[authority.len()..];
    let user = user.split(':').next().unwrap_or_default();
    if user.is_empty() || matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https" | "ftp" | "ftps") {
        format!("{scheme}://{host}{path}")
    } else {
        format!("{scheme}://{user}@{host}{path}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_loses_what_nobody_else_may_know() {
        for (address, expected) in [
            ("https://user:token@example.com/a.git", "https://example.com/a.git"),
            ("https://token@example.com:8443/a.git?x=@", "https://example.com:8443/a.git?x=@"),
            ("ssh://git:pw@example.com/a", "ssh://git@example.com/a"),
            ("https://example.com/@scope/a", "https://example.com/@scope/a"),
            ("git@example.com:a/b.git", "git@example.com:a/b.git"),
            ("/srv/git/a@b", "/srv/git/a@b"),
        ] {
            assert_eq!(without_credentials(address), expected);
        }
    }

    #[test]
    fn only_what_a_repository_needs_is_written() {
        let own = settings(
            b"core.bare\nfalse\0core.sshcommand\nssh -i key\0core.hookspath\n.husky\0http.https://x/.extraheader\nAuthorization: t\0\
              credential.helper\nstore\0url.https://t@x/.insteadof\ngit@x:\0remote.origin.url\nhttps://u:p@x/a\0\
              remote.origin.fetch\n+refs/heads/*:refs/remotes/origin/*\0branch.a\"b.c.merge\nrefs/heads/a\0submodule.s.active\0\
              unknown.token\nt\0user.signingkey\nk\0filter.lfs.clean\ngit-lfs clean -- %f\0",
        );
        let in_force = settings(b"core.autocrlf\ninput\0user.email\nme@home\0");
        let expected = "[core]\n\tautocrlf = \"input\"\n[core]\n\tbare = \"false\"\n[remote \"origin\"]\n\turl = \"https://x/a\"\n\
             [remote \"origin\"]\n\tfetch = \"+refs/heads/*:refs/remotes/origin/*\"\n[branch \"a\\\"b.c\"]\n\tmerge = \"refs/heads/a\"\n\
             [submodule \"s\"]\n\tactive\n";
        assert_eq!(file(&in_force, &own, Filters::LeftOut), expected);
        assert!(
            file(&in_force, &own, Filters::Kept)
                .ends_with("[filter \"lfs\"]\n\tclean = \"git-lfs clean -- %f\"\n")
        );
    }
}
