# syntax=docker/dockerfile:1.20
FROM scratch
RUN <<ONE cat - <<-"TWO" | sh && echo ((1 << 2)) <<NOT
one $A
ONE
	two $B
	TWO
not
NOT
RUN --network=none <<EOF
#!/usr/bin/env python3
print("$A")
EOF
RUN python3 <<'PY' > /out \
  # no comment here
import sys
PY
COPY --chmod=755 --chown=1 <<"a b" <<c /d/
$A
a b
\$A
c
ONBUILD COPY <<E /f
# no comment \
E
onbuild run <<E
FROM nothing
E
CMD <<E
ENTRYPOINT ["<<E"]
