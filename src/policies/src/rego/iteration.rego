# What `some x in y` goes through here: what has no elements has none, which the engine would call an error.
package circleci.iteration

import future.keywords

over(collection) := collection if {
	is_array(collection)
} else := collection if {
	is_object(collection)
} else := collection if {
	is_set(collection)
} else := []
