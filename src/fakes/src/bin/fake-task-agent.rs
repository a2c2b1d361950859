//! The fake task-agent's program.

fn main() -> std::io::Result<()> {
    fakes::agent::main()
}
