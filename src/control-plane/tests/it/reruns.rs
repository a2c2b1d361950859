//! Workflows that run again: by hand, from what failed, single jobs, and by themselves.

use crate::{
    house::{CHAIN, House, ONE_JOB, claim_one, end, finish, new_pipeline, post},
    page,
};
use client::ClientError;
use control_plane::{KeySource, Settings};
use protocol::{
    Digest, JobStatus, Outcome, PipelineId, WorkflowStatus,
    api::{Rerun, Variables, WorkflowView},
    http::PersistLayer,
    task::Variable,
    transfer::Content,
};

const FROM_FAILED: Rerun =
    Rerun { is_from_failed: true, is_failed_tests: false, jobs: Vec::new(), variables: None };

async fn runs(house: &House, pipeline: PipelineId) -> Vec<WorkflowView> {
    house.view(pipeline).await.workflows
}

fn standing(workflow: &WorkflowView) -> Vec<(JobStatus, bool)> {
    workflow.jobs.iter().map(|job| (job.status, job.inherited)).collect()
}

/// A pipeline whose first job succeeded and whose second failed.
async fn failed(house: &House) -> PipelineId {
    let pipeline = house.pipeline(CHAIN).await.id;
    let runner = house.runner().await;
    finish(&runner, Outcome::Success).await;
    finish(&runner, Outcome::Failed).await;
    pipeline
}

#[actix_web::test]
async fn from_failed_keeps_what_succeeded_and_runs_the_rest() {
    use JobStatus::{Blocked, Queued, Success};
    let house = House::new().await;
    let pipeline = failed(&house).await;
    let first = runs(&house, pipeline).await.remove(0);
    let again = house.operator.rerun(first.id, &FROM_FAILED).await.unwrap();
    let all = runs(&house, pipeline).await;
    assert_eq!((all.len(), all[1].id, all[1].reruns.of), (2, again, Some(first.id)));
    assert_eq!(standing(&all[1]), [(Success, true), (Queued, false), (Blocked, false)]);
    assert_eq!((all[1].jobs[0].id, all[1].jobs[0].number), (first.jobs[0].id, first.jobs[0].number));
    assert_eq!((all[1].jobs[1].number, all[1].jobs[2].number), (4, 5), "numbers go on");
    assert!(all[1].jobs[0].tasks == first.jobs[0].tasks && first.jobs[0].tasks.len() == 1);
    let cookie = page::signed_in(&house).await;
    let page = page::get(&house, &format!("/pipelines/{pipeline}"), &cookie).await.text();
    assert!(page.contains(&format!("<a href=\"#{}\">rerun by operator</a>", first.id)), "{page}");
    assert_eq!(page.matches("<span class=\"dim\">kept</span>").count(), 1);
    let runner = house.runner().await;
    finish(&runner, Outcome::Success).await;
    finish(&runner, Outcome::Success).await;
    let statuses: Vec<_> = runs(&house, pipeline).await.iter().map(|run| run.status).collect();
    assert_eq!(statuses, [WorkflowStatus::Failed, WorkflowStatus::Success]);
    house.running.stop().await;
}

#[actix_web::test]
async fn layers_and_variables_of_the_first_run_are_there_in_its_reruns_also_after_a_restart() {
    let house = House::new().await;
    let mut new = new_pipeline(CHAIN);
    new.environment = vec![Variable { name: "KEY".to_owned(), value: "hunter2".to_owned(), secret: true }];
    let pipeline = house.operator.create_pipeline(&new).await.unwrap().id;
    let runner = house.runner().await;
    let (claimed, task) = claim_one(&runner).await;
    task.begin(claimed.epoch).await.unwrap();
    let empty =
        Digest::try_from("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855".to_owned());
    let content = Content { digest: empty.unwrap(), size: 0 };
    task.persist_layer(&PersistLayer { epoch: claimed.epoch, request: 1, content: content.clone() })
        .await
        .unwrap();
    end(&claimed, &task, Outcome::Success).await;
    finish(&runner, Outcome::Failed).await;
    let first = runs(&house, pipeline).await.remove(0).id;
    house.operator.rerun(first, &FROM_FAILED).await.unwrap();
    let house = house.again(|_| {}).await;
    finish(&house.runner().await, Outcome::Failed).await;
    let second = runs(&house, pipeline).await.remove(1).id;
    let third = house.operator.rerun(second, &FROM_FAILED).await.unwrap();
    let (claimed, task) = claim_one(&house.runner().await).await;
    task.begin(claimed.epoch).await.unwrap();
    let layers = task.layers().await.unwrap();
    assert_eq!(layers.layers.iter().map(|found| &found.content).collect::<Vec<_>>(), [&content]);
    let spec = task.config().await.unwrap();
    let value = |name: &str| {
        let found = spec.environment.iter().rfind(|variable| variable.name == name);
        found.map(|variable| variable.value.clone()).unwrap()
    };
    assert_eq!(value("KEY"), "hunter2");
    assert_eq!(value("CIRCLE_WORKFLOW_ID"), third.to_string());
    assert_eq!(value("CIRCLE_WORKFLOW_WORKSPACE_ID"), first.to_string());
    house.running.stop().await;
}

#[actix_web::test]
async fn a_whole_workflow_or_single_jobs_run_again() {
    use JobStatus::{Blocked, Queued, Success};
    let house = House::new().await;
    let pipeline = house.pipeline(CHAIN).await.id;
    let runner = house.runner().await;
    for _ in 0..3 {
        finish(&runner, Outcome::Success).await;
    }
    let first = runs(&house, pipeline).await.remove(0);
    let rerun = Rerun { jobs: vec![first.jobs[1].id], ..Rerun::default() };
    house.operator.rerun(first.id, &rerun).await.unwrap();
    assert_eq!(
        standing(&runs(&house, pipeline).await[1]),
        [(Success, true), (Queued, false), (Blocked, false)]
    );
    finish(&runner, Outcome::Success).await;
    finish(&runner, Outcome::Success).await;
    house.operator.rerun(first.id, &Rerun::default()).await.unwrap();
    let all = runs(&house, pipeline).await;
    assert_eq!(standing(&all[2]), [(Queued, false), (Blocked, false), (Blocked, false)]);
    house.operator.cancel(pipeline).await.unwrap();
    assert_eq!(runs(&house, pipeline).await[2].status, WorkflowStatus::Canceled);
    house.running.stop().await;
}

async fn refused(house: &House, run: &WorkflowView, rerun: &Rerun) -> String {
    house.operator.rerun(run.id, rerun).await.unwrap_err().to_string()
}

#[actix_web::test]
async fn what_cannot_run_again_is_refused_by_name() {
    let house = House::new().await;
    let pipeline = house.pipeline(CHAIN).await.id;
    let run = runs(&house, pipeline).await.remove(0);
    assert!(refused(&house, &run, &FROM_FAILED).await.contains("is running as"));
    let runner = house.runner().await;
    for _ in 0..3 {
        finish(&runner, Outcome::Success).await;
    }
    assert!(refused(&house, &run, &FROM_FAILED).await.contains("nothing of the workflow `all` has failed"));
    let path = format!("/api/v2/workflow/{}/rerun", run.id);
    for (body, words) in [
        ("{\"enable_ssh\": true}", "`enable_ssh` is not offered"),
        ("{\"sparse_tree\": true, \"jobs\": []}", "`sparse_tree` is not offered"),
        ("{\"from_failed\": true, \"jobs\": [\"00000000-0000-0000-0000-000000000000\"]}", "give only one of"),
        ("{\"jobs\": [\"00000000-0000-0000-0000-000000000000\"]}", "has no job with the id"),
        ("{\"jobs\": [\"build\"]}", "the body:"),
        ("{\"from_faild\": true}", "unknown field `from_faild`"),
    ] {
        let (status, answer) = post(&house, &path, body).await;
        assert!(status == 400 && answer.contains(words), "{body}: {status} {answer}");
    }
    let (status, answer) =
        post(&house, "/api/v2/workflow/00000000-0000-0000-0000-000000000000/rerun", "").await;
    assert!(status == 404 && answer.contains("there is no workflow"), "{answer}");
    let (status, answer) = post(&house, &path, "{\"from_failed\": false, \"enable_ssh\": false}").await;
    assert!(status == 202 && answer.contains("workflow_id"), "{answer}");
    let running = refused(&house, &run, &Rerun::default()).await;
    assert!(running.contains("is running as"), "{running}");
    house.running.stop().await;
}

#[actix_web::test]
async fn variables_that_went_with_their_key_are_given_again_or_the_rerun_is_refused() {
    let in_memory = |byte| move |settings: &mut Settings| settings.key = KeySource::Memory([byte; 32]);
    let house = House::with(in_memory(1)).await;
    let pipeline = house.pipeline(ONE_JOB).await.id;
    finish(&house.runner().await, Outcome::Failed).await;
    let house = house.again(in_memory(2)).await;
    let run = runs(&house, pipeline).await.remove(0);
    assert!(refused(&house, &run, &FROM_FAILED).await.contains("start a new pipeline"));
    let key = Variable { name: "KEY".to_owned(), value: "v".to_owned(), secret: true };
    let variables = Variables { environment: vec![key.clone()], ..Variables::default() };
    let rerun = Rerun { variables: Some(variables), ..FROM_FAILED };
    house.operator.rerun(run.id, &rerun).await.unwrap();
    let house = house.again(in_memory(2)).await;
    let (claimed, task) = claim_one(&house.runner().await).await;
    task.begin(claimed.epoch).await.unwrap();
    assert!(task.config().await.unwrap().environment.contains(&key));
    house.running.stop().await;
}

#[actix_web::test]
async fn a_workflow_that_fails_runs_again_by_itself_as_often_as_it_says() {
    let house = House::new().await;
    let pipeline = house.pipeline(&CHAIN.replace("  all:\n", "  all:\n    max_auto_reruns: 2\n")).await.id;
    let runner = house.runner().await;
    finish(&runner, Outcome::Success).await;
    for _ in 0..3 {
        finish(&runner, Outcome::Failed).await;
    }
    let all = runs(&house, pipeline).await;
    let numbers: Vec<_> = all.iter().map(|run| (run.status, run.reruns.automatic, run.reruns.most)).collect();
    assert_eq!(numbers, [0, 1, 2].map(|number| (WorkflowStatus::Failed, number, 2)));
    assert_eq!(all[2].reruns.of, Some(all[1].id));
    house.operator.rerun(all[2].id, &FROM_FAILED).await.unwrap();
    finish(&runner, Outcome::Failed).await;
    let all = runs(&house, pipeline).await;
    assert_eq!(
        (all.len(), all[3].status),
        (4, WorkflowStatus::Failed),
        "one by hand is not followed by others"
    );
    house.running.stop().await;
}

#[actix_web::test]
async fn a_workflow_that_is_canceled_does_not_run_again_by_itself() {
    let house = House::new().await;
    let pipeline = house.pipeline(&CHAIN.replace("  all:\n", "  all:\n    max_auto_reruns: 2\n")).await.id;
    let (claimed, task) = claim_one(&house.runner().await).await;
    task.begin(claimed.epoch).await.unwrap();
    house.operator.cancel(pipeline).await.unwrap();
    end(&claimed, &task, Outcome::Canceled).await;
    let all = runs(&house, pipeline).await;
    assert_eq!((all.len(), all[0].status), (1, WorkflowStatus::Canceled));
    assert!(matches!(
        house.operator.rerun(all[0].id, &FROM_FAILED).await,
        Ok(_) | Err(ClientError::Conflict(_))
    ));
    house.running.stop().await;
}
