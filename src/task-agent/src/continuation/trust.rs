//! How the programs of a setup job come to call the task's own address and to trust it.
//!
//! Bundles of certificates are what the program would have trusted anyway, and the task's authority. A variable that the
//! job set itself is kept and extended.

use crate::place::Place;
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// Where systems keep the certificates they trust.
const SYSTEM: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
/// Who reads them there unless a variable names another file: OpenSSL, Go and Ruby, curl, Python, git.
const INSTEAD: [&str; 4] = ["SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "GIT_SSL_CAINFO"];
/// Node has its own, and takes these as well.
const BESIDE: &str = "NODE_EXTRA_CA_CERTS";
const DOMAIN: &str = "CIRCLECI_DOMAIN";

/// Tells the job's programs of the address and its authority.
pub(super) fn spread(place: &mut Place, authority: &str, address: &str, public: &[&str]) -> io::Result<()> {
    let system = SYSTEM.iter().map(PathBuf::from).find(|path| path.is_file());
    let mut bundles = Bundles { folder: place.temporary.clone(), authority, made: BTreeMap::new() };
    for (name, usual) in INSTEAD.map(|name| (name, system.as_ref())).into_iter().chain([(BESIDE, None)]) {
        let base = place.variables.get(name).map(PathBuf::from).or_else(|| usual.cloned());
        if let Some(bundle) = bundles.over(base)? {
            place.variables.insert(name.to_owned(), bundle.to_string_lossy().into_owned());
        }
    }
    place.variables.entry(DOMAIN.to_owned()).or_insert_with(|| address.to_owned());
    go_around_proxies(&mut place.variables, public);
    teach_curl(&place.home.join(".curlrc"), address, public)
}

/// Files that were made, each over what it extends.
struct Bundles<'a> {
    folder: PathBuf,
    authority: &'a str,
    made: BTreeMap<Option<PathBuf>, PathBuf>,
}

impl Bundles<'_> {
    /// None where the base cannot be read: whoever named it does without the authority.
    fn over(&mut self, base: Option<PathBuf>) -> io::Result<Option<PathBuf>> {
        if let Some(made) = self.made.get(&base) {
            return Ok(Some(made.clone()));
        }
        let Ok(text) = base.as_deref().map_or(Ok(Vec::new()), fs::read) else { return Ok(None) };
        let path = self.folder.join(format!(".trusted-{}.pem", self.made.len()));
        let mut file = File::create(&path)?;
        file.write_all(&text)?;
        write!(file, "\n{}", self.authority)?;
        self.made.insert(base, path.clone());
        Ok(Some(path))
    }
}

/// A proxy does not lead to this task.
fn go_around_proxies(variables: &mut BTreeMap<String, String>, public: &[&str]) {
    let is_proxy =
        |name: &String| ["http_proxy", "https_proxy", "all_proxy"].contains(&name.to_lowercase().as_str());
    if !variables.keys().any(is_proxy) {
        return;
    }
    let known = ["no_proxy", "NO_PROXY"].iter().find_map(|name| variables.get(*name)).cloned();
    let around = known.iter().map(String::as_str).chain(["127.0.0.1"]).chain(public.iter().copied());
    let around: Vec<&str> = around.filter(|name| !name.is_empty()).collect();
    for name in ["no_proxy", "NO_PROXY"] {
        variables.insert(name.to_owned(), around.join(","));
    }
}

/// Scripts name the public domain unless they are told another: curl connects here instead.
fn teach_curl(settings: &Path, address: &str, public: &[&str]) -> io::Result<()> {
    let mut file = File::options().create(true).append(true).open(settings)?;
    let lines = public.iter().map(|name| format!("connect-to = \"{name}:443:{address}\"\n"));
    file.write_all(format!("\n{}", lines.collect::<String>()).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(root: &Path, variables: &[(&str, &str)]) -> Place {
        fs::create_dir_all(root.join("tmp")).unwrap();
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Place {
            home: root.to_owned(),
            temporary: root.join("tmp"),
            working_directory: root.to_owned(),
            variables: variables.iter().map(owned).collect(),
        }
    }

    #[test]
    fn what_a_job_trusts_already_it_goes_on_trusting() {
        let root = tempfile::tempdir().unwrap();
        let own = root.path().join("own.pem");
        fs::write(&own, "OWN").unwrap();
        let variables =
            [("CURL_CA_BUNDLE", own.to_str().unwrap()), ("GIT_SSL_CAINFO", "/not/there"), (DOMAIN, "own")];
        let mut place = place(root.path(), &variables);
        spread(&mut place, "AUTHORITY", "127.0.0.1:1", &["circleci.com"]).unwrap();
        let read = |name: &str| fs::read_to_string(&place.variables[name]).unwrap();
        assert_eq!(read("CURL_CA_BUNDLE"), "OWN\nAUTHORITY");
        assert_eq!(read("NODE_EXTRA_CA_CERTS"), "\nAUTHORITY");
        assert!(read("SSL_CERT_FILE").ends_with("\nAUTHORITY"));
        assert_eq!(place.variables["SSL_CERT_FILE"], place.variables["REQUESTS_CA_BUNDLE"]);
        assert_eq!(place.variables["GIT_SSL_CAINFO"], "/not/there");
        assert_eq!(place.variables[DOMAIN], "own");
        let curl = fs::read_to_string(root.path().join(".curlrc")).unwrap();
        assert_eq!(curl, "\nconnect-to = \"circleci.com:443:127.0.0.1:1\"\n");
    }

    #[test]
    fn a_proxy_is_gone_around_and_nothing_is_said_where_there_is_none() {
        let with = |pairs: &[(&str, &str)]| {
            let mut variables: BTreeMap<String, String> =
                pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            go_around_proxies(&mut variables, &["circleci.com"]);
            variables.get("NO_PROXY").cloned()
        };
        assert_eq!(with(&[]), None);
        assert_eq!(with(&[("HTTPS_PROXY", "p")]).unwrap(), "127.0.0.1,circleci.com");
        assert_eq!(with(&[("https_proxy", "p"), ("no_proxy", "a")]).unwrap(), "a,127.0.0.1,circleci.com");
    }
}
