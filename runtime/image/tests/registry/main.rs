//! Pulls and pushes over real connections: with Debian's docker-registry, and with a server that misbehaves on request.

#[cfg(test)]
mod tests {
    mod depot;
    mod faulty;
    mod pull_faults;
    mod push;
    mod push_faults;
    mod real;
    mod registry;
    mod routes;
    mod sample;
    mod server;
}
