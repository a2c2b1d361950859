//! What a panic in the middle of an actor's work costs: nothing that anybody else notices.
