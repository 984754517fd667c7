# The image of `vefa`: all services and tools in one program; what a container does, its command says.
#
#   docker build --build-arg VERSION=0.1.0 --build-arg COMMIT="$(git rev-parse HEAD)" --tag vefa .

FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY proto proto
COPY crates crates
COPY services services
# Read when `vefa` itself is compiled, so that another commit compiles nothing else anew.
ARG COMMIT=unknown
ENV VEFA_COMMIT=$COMMIT
# What was downloaded and compiled stays in caches of the builder, from one build to the next; only the program leaves them.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --profile image --package vefa \
    && install -m 755 target/image/vefa /vefa

# The same beside PostgreSQL's client programs, for `vefa backup` and `vefa restore`: they must not be older than the server.
FROM postgres:18 AS backup
COPY --from=build /vefa /usr/local/bin/vefa
# A volume that is mounted here for the first time gets this owner.
RUN install -d -m 700 -o 10001 -g 10001 /backup
USER 10001:10001
ENTRYPOINT ["vefa"]
CMD ["help", "backup"]

FROM debian:bookworm-slim
ARG VERSION=unknown
ARG COMMIT=unknown
LABEL org.opencontainers.image.title="Vefa" \
      org.opencontainers.image.description="An event-sourced backend for customer relations" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version=$VERSION \
      org.opencontainers.image.revision=$COMMIT
COPY --from=build /vefa /usr/local/bin/vefa
# The authorities by which receivers of webhooks are known.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
# A number, so that whoever forbids root can see that this is not root.
USER 10001:10001
ENTRYPOINT ["vefa"]
CMD ["serve"]
