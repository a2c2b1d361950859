# What policies may import as data.circleci.utils: the names, and what they mean, are CircleCI's.
package circleci.utils

import future.keywords

# A set as it is, the elements of an array, anything else alone.
to_set(value) := value if {
	is_set(value)
} else := {element | some element in value} if {
	is_array(value)
} else := {value}

# An array as it is, anything else alone.
to_array(value) := value if {
	is_array(value)
} else := [value]

# What a list of jobs or steps calls one of them: a text, or the only key of a map.
get_element_name(element) := element if {
	is_string(element)
} else := name if {
	is_object(element)
	count(element) == 1
	some name, _ in element
}

# Whether a text has the value of a parameter in it.
is_parameterized_expression(text) if regex.match(`<<\s*(pipeline|parameters)(\.[\w-]+)+\s*>>`, text)

else := false
