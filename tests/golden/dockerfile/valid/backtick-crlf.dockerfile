# Escape = `
# check=skip=all
FROM scratch
COPY a b `
  c:\dir\
ENV X=`"q`" `
# a comment
   # and another
   Y=2
