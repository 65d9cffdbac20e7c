//! Pulls over real connections: from Debian's docker-registry, and from a server that misbehaves on request.

#[cfg(test)]
mod tests {
    mod faulty;
    mod real;
    mod registry;
    mod sample;
    mod server;
}
