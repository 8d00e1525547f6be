/** The API server: one core that answers requests, reached over TLS or within the process. */
