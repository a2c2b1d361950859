//! Lists of pipelines: what they have, page by page, and which rows are read for them. And the order of test results.

use super::*;
use crate::{Sought, TestsRow, Wanted};
use protocol::transfer::{TestCase, TestResult};
use sqlx::Row;

const ALL: Sought = Sought {
    projects: None,
    within: None,
    by: None,
    branch: None,
    revision: None,
    from_ms: 0,
    to_ms: i64::MAX,
    before: None,
};

/// Three projects with twenty pipelines each, of which several were made at one time.
async fn three_projects(store: &Store) {
    for name in ["gh/a/b", "gh/a/c", "gh/x/b"] {
        store.write(None, vec![Write::Project(name.to_owned())]).await.unwrap();
        let project = store.project(name).await.unwrap().unwrap().0;
        let row = |number: u64| {
            let id = PipelineId(Uuid::from_u128(u128::from(number * 31 % 20) * 10 + project.0 as u128));
            let created_ms = i64::try_from(number / 3).unwrap();
            Write::Pipeline(PipelineRow { id, number, created_ms, ..pipeline(project) }.into())
        };
        store.write(None, (0..20).map(row).collect()).await.unwrap();
    }
}

/// All that are sought, in pages of so many, as their times and ids.
async fn listed(store: &Store, mut sought: Sought, most: u32) -> Vec<(i64, PipelineId)> {
    let mut all = Vec::new();
    loop {
        let page = store.standing_pipelines(&sought, most).await.unwrap();
        all.extend(page.iter().map(|run| (run.pipeline.created_ms, run.pipeline.id)));
        sought.before = all.last().copied();
        if page.len() < most as usize {
            return all;
        }
    }
}

#[tokio::test]
async fn pages_of_any_length_have_all_pipelines_that_are_sought_once_and_the_newest_first() {
    let (_folder, store) = store().await;
    three_projects(&store).await;
    let of = |names: &[&str]| {
        let projects = Some(names.iter().map(|name| (*name).to_owned()).collect());
        Sought { projects, ..ALL }
    };
    let within = |name: &str| Sought { within: Some(vec![name.to_owned()]), ..ALL };
    for (sought, number) in [
        (ALL, 60),
        (of(&["gh/a/c"]), 20),
        (of(&["gh/a/b", "gh/x/b", "gh/x/none"]), 40),
        (of(&[]), 0),
        (within("gh/a/"), 40),
        (Sought { from_ms: 2, to_ms: 4, ..of(&["gh/a/c"]) }, 9),
    ] {
        let whole = listed(&store, sought.clone(), 100).await;
        assert_eq!(whole.len(), number, "{sought:?}");
        assert!(whole.is_sorted_by(|one, next| one > next), "{sought:?}");
        for most in [1, 7, 20] {
            assert_eq!(listed(&store, sought.clone(), most).await, whole, "{sought:?} by {most}");
        }
    }
    let first = store.pipelines(Wanted { project: Some("gh/x/b"), ..Wanted::default() }, 7).await.unwrap();
    let before = first.last().map(|(_, row)| (row.created_ms, row.id));
    let wanted = Wanted { project: Some("gh/x/b"), before, ..Wanted::default() };
    assert_eq!(store.pipelines(wanted, 20).await.unwrap().len(), 13);
    let begins = |begin: &str| Some(vec![begin.to_owned()]);
    assert_eq!(store.projects_within(begins("gh/a/"), 9).await.unwrap(), ["gh/a/b", "gh/a/c"]);
    assert_eq!(store.projects_within(begins("gh/"), 9).await.unwrap(), Vec::<String>::new());
    assert_eq!(store.projects_within(None, 2).await.unwrap().len(), 2);
}

#[tokio::test]
async fn few_projects_lead_to_their_pipelines_and_many_do_not() {
    let (_folder, store) = store().await;
    three_projects(&store).await;
    let wanted = |begins, within: Option<&[&str]>| {
        let within = within.map(|all| all.iter().map(|begin| (*begin).to_owned()).collect());
        Wanted { begins, within, ..Wanted::default() }
    };
    let number = async |wanted: Wanted<'_>| {
        let few = store.few_projects(&wanted).await.unwrap().map(|few| few.len());
        let listed = store.pipelines(wanted, 100).await.unwrap();
        assert!(listed.iter().map(|(_, row)| (row.created_ms, row.id)).is_sorted_by(|one, next| one > next));
        (few, listed.len())
    };
    assert_eq!(number(wanted(None, None)).await, (None, 60));
    assert_eq!(number(wanted(None, Some(&["gh/a/"]))).await, (Some(2), 40));
    assert_eq!(number(wanted(Some("gh/a/c"), Some(&["gh/a/", "gh/x/"]))).await, (Some(1), 20));
    assert_eq!(number(wanted(Some("gh/x/"), None)).await, (Some(1), 20));
    for none in [wanted(None, Some(&[])), wanted(Some("gh/x/"), Some(&["gh/a/"]))] {
        assert_eq!(number(none).await, (Some(0), 0));
    }
    store.write(None, (0..99).map(|name| Write::Project(format!("gh/a/{name}"))).collect()).await.unwrap();
    assert_eq!(number(wanted(None, Some(&["gh/a/"]))).await, (None, 40), "101 are many");
}

async fn plan(store: &Store, sql: &str) -> String {
    let query = format!("EXPLAIN QUERY PLAN {sql}");
    let rows = sqlx::query(sqlx::AssertSqlSafe(query)).fetch_all(&store.readers).await.unwrap();
    rows.iter().map(|row| row.get::<String, _>("detail") + "\n").collect()
}

#[tokio::test]
async fn a_list_reads_the_pipelines_of_its_projects_alone_and_none_that_is_younger_than_its_cursor() {
    let (_folder, store) = store().await;
    let these = Sought { projects: Some(Vec::new()), ..ALL };
    let one = Wanted { project: Some("gh/a/b"), ..Wanted::default() };
    let few = Wanted { within: Some(vec!["gh/a/".to_owned()]), ..Wanted::default() };
    for (sql, search) in [
        (these.sql(), "q USING INDEX pipelines_by_project (project=? AND created_ms>? AND created_ms<?)"),
        (ALL.sql(), "q USING INDEX pipelines_by_time (created_ms>? AND created_ms<?)"),
        (one.sql(None), "p USING INDEX pipelines_by_project (project=? AND created_ms<?)"),
        (few.sql(Some(&[])), "p USING INDEX pipelines_by_project (project=? AND created_ms<?)"),
        (Wanted::default().sql(None), "p USING INDEX pipelines_by_time (created_ms<?)"),
    ] {
        let plan = plan(&store, &sql).await;
        assert!(plan.contains(&format!("SEARCH {search}\n")), "{search}: {plan}");
    }
    assert_eq!(Sought { before: Some((7, PIPELINE)), ..ALL }.latest_ms(), 7);
    assert_eq!(Sought { before: Some((7, PIPELINE)), to_ms: 5, ..ALL }.latest_ms(), 5);
}

#[tokio::test]
async fn test_results_come_upload_by_upload_in_the_order_of_tasks_and_of_their_requests() {
    let (_folder, store) = store().await;
    with_task(&store).await;
    let second = TaskId(Uuid::from_u128(1));
    let case = |name: &str| TestCase {
        classname: String::new(),
        name: name.to_owned(),
        file: None,
        result: TestResult::Success,
        run_time: None,
        message: None,
    };
    let upload = |task, request, names: &[&str]| {
        let cases = names.iter().map(|name| case(name)).collect();
        Write::Tests(TestsRow { task, request, cases }.into())
    };
    let rows = vec![
        Write::Task(TaskRow::queued(second, JOB, 1, 6).into()),
        upload(second, 0, &["d"]),
        upload(TASK, 10, &["c"]),
        upload(TASK, 3, &[]),
        upload(TASK, 2, &["b", "a"]),
    ];
    store.write(None, rows).await.unwrap();
    let mut names = Vec::new();
    for upload in store.test_uploads(JOB).await.unwrap() {
        let cases = store.cases_of(upload).await.unwrap().unwrap().read().unwrap();
        names.push(cases.into_iter().map(|case| case.name).collect::<String>());
    }
    assert_eq!(names, ["ba", "", "c", "d"]);
    let all = store.test_cases(JOB, 0, 9).await.unwrap();
    assert_eq!(all.into_iter().map(|case| case.name).collect::<String>(), names.concat());
}
