# SYNTAX = docker/dockerfile:1.20
#check=skip=JSONArgsRecommended, StageNameCasing;error=true
# Escape=`
# a comment ends them
# syntax=other
# escape=\
FROM scratch
RUN a `
  b
COPY C:\x\y /z
CMD c \
USER d`
# inside

e
