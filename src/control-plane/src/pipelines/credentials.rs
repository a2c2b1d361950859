//! Credentials for registries: taken out of what is stored as it is, and filled in where a task is given out.

use protocol::{
    api::Variables,
    image::{Auth, Containers, Image},
    pipeline::{Executor, Job, Pipeline},
    task::Variable,
};

/// Passwords that stand in a configuration as they are; sealed with its variables.
pub(super) type Passwords = Vec<String>;

/// In braces, in the place of a password that was taken out: no name of a variable has a space.
const TAKEN: &str = "password ";

/// Takes all passwords out that are not the value of a variable, behind those there are already. A job that is to run natively has no images.
pub(crate) fn take(compiled: &mut Pipeline, native: bool, mut passwords: Passwords) -> Passwords {
    for job in compiled.workflows.iter_mut().flat_map(|workflow| &mut workflow.jobs) {
        match &mut job.executor {
            executor @ Executor::Docker { .. } if native => *executor = Executor::Machine,
            Executor::Docker { images } => images.iter_mut().for_each(|image| take_of(image, &mut passwords)),
            Executor::Machine | Executor::Macos => {}
        }
    }
    passwords
}

fn take_of(image: &mut Image, passwords: &mut Passwords) {
    if let Some(auth) = image.auth.as_mut().filter(|auth| !auth.password.contains('$')) {
        let place = passwords.len();
        passwords.push(std::mem::replace(&mut auth.password, format!("${{{TAKEN}{place}}}")));
    }
}

/// The containers of a task with their credentials filled in, and what of these no log may show.
#[derive(Debug, Default)]
pub(crate) struct Filled {
    pub(crate) containers: Option<Containers>,
    pub(crate) passwords: Vec<String>,
}

impl Filled {
    pub(crate) fn of(job: &Job, variables: &Variables) -> Self {
        let Executor::Docker { images } = &job.executor else { return Self::default() };
        let (mut images, mut passwords, mut notes) = (images.clone(), Vec::new(), Vec::new());
        for image in &mut images {
            let Some(auth) = image.auth.take() else { continue };
            match filled_in(&auth, |name| value(name, job, variables)) {
                Ok(auth) => {
                    passwords.push(auth.password.clone());
                    image.auth = Some(auth);
                }
                Err(name) => notes.push(without(&image.image, &name)),
            }
        }
        let containers = Containers { images, resource_class: job.resource_class.clone(), notes };
        Self { containers: Some(containers), passwords }
    }
}

fn without(image: &str, name: &str) -> String {
    let why = if name.starts_with(TAKEN) {
        "the password of its `auth` stands in the configuration, of which none is kept for reruns".to_owned()
    } else {
        format!(
            "its `auth` names the variable {name}, which neither the project nor a context of the job has"
        )
    };
    format!("The image {image} is asked for without credentials: {why}.")
}

/// Of the contexts the last wins, and each over the project.
fn value<'v>(name: &str, job: &Job, variables: &'v Variables) -> Option<&'v str> {
    if let Some(place) = name.strip_prefix(TAKEN) {
        return variables.passwords.get(place.parse::<usize>().ok()?).map(String::as_str);
    }
    let contexts = job.contexts.iter().rev().filter_map(|context| variables.contexts.get(context));
    let of = |list: &'v Vec<Variable>| list.iter().rev().find(|variable| variable.name == name);
    let found = contexts.chain([&variables.environment]).find_map(of);
    found.map(|variable| variable.value.as_str())
}

/// With `$NAME` and `${NAME}` filled in. The name of a variable that is not there is an error: what is left of it would
/// be sent as a password.
fn filled_in<'v>(auth: &Auth, value: impl Fn(&str) -> Option<&'v str>) -> Result<Auth, String> {
    let filled = |text: &str| expanded(text, &value);
    Ok(Auth { username: filled(&auth.username)?, password: filled(&auth.password)? })
}

fn expanded<'v>(text: &str, value: &impl Fn(&str) -> Option<&'v str>) -> Result<String, String> {
    let (mut rest, mut expanded) = (text, String::new());
    while let Some((before, after)) = rest.split_once('$') {
        expanded += before;
        match reference(after) {
            Some((name, behind)) => {
                expanded += value(name).ok_or_else(|| name.to_owned())?;
                rest = behind;
            }
            None => {
                expanded.push('$');
                rest = after;
            }
        }
    }
    Ok(expanded + rest)
}

/// The name that follows a `$`, and what comes behind it.
fn reference(text: &str) -> Option<(&str, &str)> {
    let braced = text.strip_prefix('{').and_then(|braced| braced.split_once('}'));
    if let Some((name, behind)) = braced {
        return (is_name(name) || name.starts_with(TAKEN)).then_some((name, behind));
    }
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    Some(text.split_at(end)).filter(|(name, _)| is_name(name))
}

fn is_name(name: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.chars().all(is_letter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::pipeline::{Kind, Workflow};

    fn variable(name: &str, value: &str) -> Variable {
        Variable { name: name.to_owned(), value: value.to_owned(), secret: true }
    }

    fn job(password: &str) -> Job {
        let auth = Auth { username: "$ACCOUNT".to_owned(), password: password.to_owned() };
        let images = vec![Image { image: "app:1".to_owned(), auth: Some(auth), ..Image::default() }];
        Job {
            name: "build".to_owned(),
            kind: Kind::Build,
            requires: Vec::new(),
            serial_group: None,
            plan: None,
            parallelism: 1,
            executor: Executor::Docker { images },
            resource_class: Some("medium".to_owned()),
            environment: Vec::new(),
            contexts: vec!["registry".to_owned(), "later".to_owned()],
            working_directory: "~/project".to_owned(),
            steps: Vec::new(),
        }
    }

    fn variables(passwords: Passwords) -> Variables {
        let context = |value: &str| vec![variable("P", value)];
        Variables {
            environment: vec![variable("ACCOUNT", "ann"), variable("P", "the project's")],
            contexts: [("registry", "first"), ("later", "s3cret")]
                .map(|(name, value)| (name.to_owned(), context(value)))
                .into(),
            passwords,
            continuation: None,
            ssh_keys: Vec::new(),
        }
    }

    fn pipeline(jobs: Vec<Job>) -> Pipeline {
        let workflow = Workflow { name: "all".to_owned(), jobs, max_auto_reruns: 0 };
        Pipeline { workflows: vec![workflow], is_setup: false, schedules: Vec::new() }
    }

    fn filled(job: &Job, passwords: Passwords) -> (Option<Auth>, Filled) {
        let mut filled = Filled::of(job, &variables(passwords));
        (filled.containers.as_mut().unwrap().images[0].auth.take(), filled)
    }

    #[test]
    fn credentials_are_the_values_of_contexts_and_project() {
        for (written, expected) in
            [("$P", "s3cret"), ("${P}", "s3cret"), ("a-${P}/$P", "a-s3cret/s3cret"), ("p$$1${", "p$$1${")]
        {
            let (auth, filled) = filled(&job(written), Vec::new());
            let auth = auth.unwrap();
            assert_eq!((auth.username.as_str(), auth.password.as_str()), ("ann", expected));
            assert_eq!(filled.passwords, [expected], "and no log shows it");
        }
    }

    #[test]
    fn a_variable_that_is_not_there_is_told_and_no_part_of_it_is_sent() {
        let (auth, filled) = filled(&job("x$NOT_THERE"), Vec::new());
        assert_eq!(auth, None);
        assert!(filled.containers.unwrap().notes[0].contains("NOT_THERE"));
    }

    #[test]
    fn a_password_in_the_configuration_is_taken_out_of_what_is_stored_and_filled_in_again() {
        let mut pipeline = pipeline(vec![job("hunter2"), job("$P"), job("hunter3")]);
        let passwords = take(&mut pipeline, false, Passwords::new());
        let stored = serde_json::to_string(&pipeline).unwrap();
        assert!(!stored.contains("hunter"), "{stored}");
        let jobs = &pipeline.workflows[0].jobs;
        for (job, password) in jobs.iter().zip(["hunter2", "s3cret", "hunter3"]) {
            assert_eq!(filled(job, passwords.clone()).0.unwrap().password, password);
        }
    }

    #[test]
    fn a_job_that_runs_natively_has_no_images() {
        let mut pipeline = pipeline(vec![job("hunter2")]);
        assert!(take(&mut pipeline, true, Passwords::new()).is_empty());
        assert_eq!(pipeline.workflows[0].jobs[0].executor, Executor::Machine);
    }
}
