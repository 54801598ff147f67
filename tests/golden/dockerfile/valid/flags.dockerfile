FROM --platform="$BUILDPLATFORM" scratch AS a
COPY --link=false --parents=TRUE --exclude=**/*.md --exclude=!**/keep.md --chmod=u=rwX,go-w --chown=$USER:0 "./src/./**" /d/
COPY --from=a -- --odd /d/
COPY --exclude='a b' --from="a" c d
ADD --unpack --link --exclude=*.o --keep-git-dir=false --checksum=sha256:00 https://example.com/x.git#v1:sub /src
ADD --unpack=False a.tar /x/
RUN --mount=type=secret,id=a,env=TOKEN,required --mount=type=ssh --mount=type=cache,target=/c,sharing=locked,mode=0700 \
    --mount=type=bind,from=a,source=/s,target=/t,rw --network=host --security=insecure -- --make
RUN --network=default ["a"]
HEALTHCHECK --start-interval=5s CMD ["a", "b"]
HEALTHCHECK --interval=0.5h --retries=10 cmd  a  b
ADD --chown=user:staff --chmod=0640 a b
