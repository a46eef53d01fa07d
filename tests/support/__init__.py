"""Everything the tests stand on: servers, nginx, clients, processes, the blog, the invariant check."""
