# What policies may import as data.circleci.config: the names, what they mean, and how they say it are CircleCI's.
package circleci.config

import data.circleci.utils
import future.keywords

# Orbs that the configuration names; one that it contains has no name.
references := {reference |
	some reference in input.orbs
	is_string(reference)
}

# Their versions by name.
orbs[name] := version if {
	some reference in references
	[name, version] := split(reference, "@")
}

# One whose name is not known before the pipeline runs may be any.
parameterized[reference] := reason if {
	some reference in references
	utils.is_parameterized_expression(reference)
	reason := sprintf("invalid orb: %s - parameterized orbs are disallowed", [reference])
}

banned(name) := sprintf("%s orb is not allowed in CircleCI configuration", [name])

ban_orbs(names) := object.union(found, parameterized) if {
	found := {name: reason |
		some name in names
		some reference in references
		split(reference, "@")[0] == name
		reason := banned(name)
	}
}

ban_orbs_version(versions) := object.union(found, parameterized) if {
	found := {version: reason |
		some version in versions
		version in references
		reason := banned(version)
	}
}

orbs_allowlist(allowed) := {reference: reason |
	some reference in references
	name := split(reference, "@")[0]
	not allows(allowed, name)
	reason := banned(name)
}

allows(allowed, name) if {
	not is_array(allowed)
	allowed[name]
}

allows(allowed, name) if {
	is_array(allowed)
	name in allowed
}

# Jobs of workflows as they are run, each with the contexts that it names.
uses(workflows) := {[workflow, job, contexts] |
	some workflow, definition in workflows
	is_object(definition)
	some run in definition.jobs
	is_object(run)
	some job, options in run
	contexts := utils.to_set(options.context)
}

contexts_blocked_by_project_ids(projects, contexts) := {reason |
	data.meta.project_id in utils.to_set(projects)
	some [workflow, job, used] in uses(input._compiled_.workflows)
	wrong := used & utils.to_set(contexts)
	count(wrong) > 0
	reason := sprintf("%s.%s: uses context value(s) in blocklist for project: %s", [workflow, job, concat(", ", wrong)])
}

contexts_allowed_by_project_ids(projects, contexts) := {reason |
	data.meta.project_id in utils.to_set(projects)
	some [workflow, job, used] in uses(input._compiled_.workflows)
	wrong := used - utils.to_set(contexts)
	count(wrong) > 0
	reason := sprintf("%s.%s: uses context value(s) not in allowlist for project: %s", [workflow, job, concat(", ", wrong)])
}

contexts_reserved_by_project_ids(projects, contexts) := {reason |
	not data.meta.project_id in utils.to_set(projects)
	some [workflow, job, used] in uses(input._compiled_.workflows)
	wrong := used & utils.to_set(contexts)
	count(wrong) > 0
	reason := sprintf("%s.%s: uses context value(s) reserved to other projects: %s", [workflow, job, concat(", ", wrong)])
}

# Of the configuration as it is written, which says where a job may run at all; where a parameter names a context, of what
# runs as well.
contexts_reserved_by_branches(branches, contexts) := (elsewhere | anywhere) | running if {
	running := running_elsewhere(branches, contexts)
	reserved := {[workflow, job, used & utils.to_set(contexts)] |
		some [workflow, job, used] in uses(input.workflows)
		count(used & utils.to_set(contexts)) > 0
	}
	elsewhere := {reason |
		some [workflow, job, wrong] in reserved
		others := only(workflow, job) - utils.to_set(branches)
		count(others) > 0
		reason := sprintf(
			"%s.%s: uses context value(s): %s - that cannot be used with branches: %s",
			[workflow, job, concat(", ", wrong), concat(", ", others)],
		)
	}
	anywhere := {reason |
		some [workflow, job, wrong] in reserved
		runs_anywhere(workflow, job)
		reason := sprintf(
			"%s.%s: uses context value(s): %s - that must be limited to branches: %s",
			[workflow, job, concat(", ", wrong), concat(", ", utils.to_set(branches))],
		)
	}
}

# What runs on another branch than these. A pipeline of a tag is on none; where no branch is known at all, nothing is said.
running_elsewhere(branches, contexts) := {reason |
	names_by_parameter
	branch := data.meta.vcs.branch
	not is_one_of(branch, branches)
	some [workflow, job, used] in uses(input._compiled_.workflows)
	wrong := used & utils.to_set(contexts)
	count(wrong) > 0
	reason := sprintf(
		"%s.%s: uses context value(s): %s - that cannot be used with branches: %s",
		[workflow, job, concat(", ", wrong), branch_name(branch)],
	)
}

names_by_parameter if {
	some [_, _, used] in uses(input.workflows)
	some name in used
	contains(name, "<<")
}

branch_name(branch) := "(none)" if {
	branch == ""
} else := branch

is_one_of(branch, branches) if branch in utils.to_set(branches)

# As a filter of branches may be written: an expression between slashes.
is_one_of(branch, branches) if {
	some pattern in utils.to_set(branches)
	startswith(pattern, "/")
	endswith(pattern, "/")
	regex.match(sprintf("^(?:%s)$", [trim_suffix(trim_prefix(pattern, "/"), "/")]), branch)
}

# All branches that the runs of a job are limited to.
only(workflow, job) := {branch |
	some run in input.workflows[workflow].jobs
	some branch in utils.to_set(run[job].filters.branches.only)
}

runs_anywhere(workflow, job) if {
	some run in input.workflows[workflow].jobs
	run[job].context
	not run[job].filters.branches.only
}

resource_class_by_project(classes) := {reason |
	some job, definition in input._compiled_.jobs
	projects := classes[definition.resource_class]
	not data.meta.project_id in projects
	reason := sprintf("project is not allowed to use resource_class %q declared in job %q", [definition.resource_class, job])
}
