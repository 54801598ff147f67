FROM scratch
COPY <<EOF /single
one $X
EOF
COPY <<-A <<"B" plain <<C.d /many/
	A chomped
		twice
	A
B
B literal $X
  B
B
# no comment
\
C.d
ADD << EOF /spaced
EOF
COPY ["<<NOT", "/json"]
ADD --chown=1 <<a.txt /
a

b
a.txt
EXPOSE 1
