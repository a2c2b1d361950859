"""What pycircleci reads from a control plane and does there, called as its users call it.

The first pipeline has a job, an approval and a job that waits for the file `gate`; two more go on until they are canceled.
"""

import pathlib
import sys
import time

import requests
from pycircleci.api import Api

url, token, gate, folder = sys.argv[1:]
api = Api(token, f"{url}/api")
APP = ("acme", "app")


def until(what, look):
    end = time.monotonic() + 90
    while time.monotonic() < end:
        seen = look()
        if seen:
            return seen
        time.sleep(0.05)
    raise SystemExit(f"{what}: not within 90 s")


def is_(seen, wanted):
    assert seen == wanted, f"{seen!r} is not {wanted!r}"


def stands(workflow, *statuses):
    return lambda: api.get_workflow(workflow)["status"] in statuses


def jobs(workflow):
    return {job["name"]: job for job in api.get_workflow_jobs(workflow, paginate=True)}


me = api.get_user_info(api_version="v2")
is_((me["login"], api.get_user_info(), api.get_user_id_info(me["id"])), ("operator", me, me))
is_([one["slug"] for one in api.get_user_collaborations()], ["github.com/acme"])
is_(api.get_project("gh/acme/app")["name"], "app")

pipelines = api.get_project_pipelines(*APP, branch="main", paginate=True)
is_([one["number"] for one in pipelines], [3, 2, 1])
is_(api.get_project_pipelines(*APP, mine=True), pipelines)
is_(api.get_pipelines("acme", paginate=True), pipelines)
first = api.get_project_pipeline(*APP, 1)
is_(api.get_pipeline(first["id"]), first)
is_(first["vcs"]["branch"], "main")

(workflow,) = [one["id"] for one in api.get_pipeline_workflow(first["id"])]
until("the approval", stands(workflow, "on_hold"))
build = api.get_job_details(*APP, jobs(workflow)["build"]["job_number"])
is_((build["name"], build["status"], build["executor"]["type"]), ("build", "success", "machine"))
(artifact,) = api.get_artifacts(*APP, build["number"])
is_(artifact["path"], "out/a file.txt")
is_(pathlib.Path(api.download_artifact(artifact["url"], folder, "fetched")).read_text(), "made\n")
(test,) = api.get_test_metadata(*APP, build["number"])["tests"]
is_((test["classname"], test["name"], test["result"], test["run_time"]), ("c", "n", "success", 0.25))

is_(api.approve_job(workflow, jobs(workflow)["hold"]["approval_request_id"])["message"], "Accepted.")
until("a failure", stands(workflow, "failed"))
pathlib.Path(gate).touch()
again = api.rerun_workflow(workflow, from_failed=True)["workflow_id"]
until("a success", stands(again, "success"))
is_(jobs(again)["build"]["id"], jobs(workflow)["build"]["id"])

for number, cancel in [
    (2, lambda workflow, job: api.cancel_job(*APP, job["job_number"])),
    (3, lambda workflow, job: api.cancel_workflow(workflow)),
]:
    pipeline = api.get_project_pipeline(*APP, number)
    (workflow,) = [one["id"] for one in api.get_pipeline_workflow(pipeline["id"])]
    job = until("a running job", lambda: [j for j in jobs(workflow).values() if j["status"] == "running"])
    is_(cancel(workflow, job[0])["message"], "Accepted.")
    until("its end", stands(workflow, "canceled"))

try:
    api.get_job_details(*APP, 1000)
except requests.exceptions.HTTPError as error:
    is_(error.response.status_code, 404)
    assert error.response.json()["message"]
else:
    raise SystemExit("there is a job 1000")
print("all is as it should be")
