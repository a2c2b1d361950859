// What two packages of npm's read from a control plane and do there, called as their users call them: one for version 2 of
// the API and one for version 1.1.
//
// The project has a repository, and no pipeline yet.

const assert = require("node:assert/strict");
const { createRequire } = require("node:module");
const [url, token, folder] = process.argv.slice(2);
const installed = createRequire(`${folder}/package.json`);
const sdk = installed("circleci-typescript-axios");
const { CircleCI } = installed("circleci-api");

const SLUG = "gh/acme/app";
const api = (kind) => sdk[`${kind}ApiFactory`]({ apiKey: token }, `${url}/api/v2`);

async function until(what, look) {
  const end = Date.now() + 90_000;
  while (Date.now() < end) {
    const seen = await look();
    if (seen) return seen;
    await new Promise((later) => setTimeout(later, 50));
  }
  throw new Error(`${what}: not within 90 s`);
}

async function version2() {
  const [pipelines, workflows, jobs, projects] = ["Pipeline", "Workflow", "Job", "Project"].map(api);
  assert.equal((await api("User").getCurrentUser()).data.login, "operator");
  await projects.createEnvVar(SLUG, { name: "GREETING", value: "hello there" });
  assert.equal((await projects.getEnvVar(SLUG, "GREETING")).data.value, "xxxxhere");
  const made = await pipelines.triggerPipeline(SLUG, undefined, undefined, { branch: "main", parameters: { who: "you" } });
  assert.equal(made.status, 201);
  const pipeline = (await pipelines.getPipelineById(made.data.id)).data;
  assert.deepEqual([pipeline.number, pipeline.vcs.branch], [1, "main"]);
  const config = (await pipelines.getPipelineConfigById(pipeline.id)).data;
  assert.ok(config.source.includes("<< pipeline.parameters.who >>"), config.source);
  assert.ok(config.compiled.includes("echo $GREETING, you"), config.compiled);
  const [workflow] = (await pipelines.listWorkflowsByPipelineId(pipeline.id)).data.items;
  const status = async () => (await workflows.getWorkflowById(workflow.id)).data.status;
  await until("the workflow's end", async () => (await status()) === "success");
  const [job] = (await workflows.listWorkflowJobs(workflow.id)).data.items;
  assert.deepEqual([job.name, job.status], ["greet", "success"]);
  assert.equal((await jobs.getJobDetails(job.job_number, SLUG)).data.status, "success");
  const [artifact] = (await jobs.getJobArtifacts(job.job_number, SLUG)).data.items;
  assert.equal(artifact.path, "greeting");
  const listed = (await pipelines.listPipelinesForProject(SLUG)).data.items;
  assert.deepEqual(listed.map((one) => one.id), [pipeline.id]);
  assert.equal((await pipelines.getPipelineByNumber(SLUG, 1)).data.id, pipeline.id);
  const refused = await pipelines.triggerPipeline(SLUG, undefined, undefined, { branch: "gone" }).catch((error) => error.response);
  assert.equal(refused.status, 400);
  return job.job_number;
}

async function version1(job) {
  const circle = new CircleCI({ token, vcs: { type: "github", owner: "acme", repo: "app" }, circleHost: `${url}/api/v1.1` });
  assert.equal((await circle.me()).login, "operator");
  const [artifact] = await circle.artifacts(job);
  assert.equal(artifact.path, "greeting");
  assert.deepEqual((await circle.getTestMetadata(job)).tests, []);
}

version2().then(version1).then(() => console.log("all is as it should be"), (error) => {
  console.error(error);
  process.exit(1);
});
