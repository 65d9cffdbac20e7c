//! Pulls and pushes over real connections: with Debian's docker-registry, and with a server that misbehaves on request.

#[cfg(test)]
mod tests {
    mod depot;
    mod faulty;
    mod push;
    mod real;
    mod registry;
    mod sample;
    mod server;
}
