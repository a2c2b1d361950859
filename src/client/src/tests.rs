//! Against a small real server, proxies and cut connections.
