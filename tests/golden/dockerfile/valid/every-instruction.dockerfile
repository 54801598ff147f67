# syntax=docker/dockerfile:1
ARG VERSION=1.36 MIRROR
FROM --platform=linux/amd64 busybox:${VERSION} AS Build
ARG USER_NAME="a b" EMPTY=
ENV A=1 B="two words" C=three\ words \
    D='$A'
ENV old form with  spaces
LABEL "com.example.name"="x y" short=z
MAINTAINER Somebody <somebody@example.com>
RUN --mount=type=cache,target=/c --mount=type=tmpfs,target=/t --network=none --security=sandbox make all
RUN ["/bin/echo", "a\tb", "\u00e9"]
SHELL ["/bin/bash", "-c"]
WORKDIR /src dir
USER 1000:1000
COPY --chown=1:2 --chmod=644 --link a b /dst/
COPY --from=build --parents --exclude=*.o --exclude=*.d ["with space", "/dst dir/"]
ADD --checksum=sha256:00 --keep-git-dir=true --unpack=false https://example.com/x /x
EXPOSE 8080/tcp 53/udp $PORTS
VOLUME /a /b
VOLUME ["/c d"]
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=1m30s --timeout=500ms --start-period=2s --start-interval=1s --retries=5 CMD curl -f localhost
ONBUILD RUN  make  install
ENTRYPOINT ["/entry"]
CMD run $A

from scratch
HEALTHCHECK none
ENTRYPOINT
CMD []
