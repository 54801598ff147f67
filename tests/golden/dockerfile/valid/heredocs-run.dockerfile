FROM busybox
RUN <<EOF
echo one
# kept
echo two \
  three
EOF
RUN <<-"EOF"
	echo tabs
	EOF
RUN <<EOF
#!/usr/bin/env python3
print("script")
EOF
RUN cat <<EOF > /a && cat <<'F' > /b
first
EOF
second $X
F
RUN 3<<EOF cat <&3
x
EOF
RUN echo "<<NO" '<<NO' a<<NO $(( 1 <<2 )) <<<here
RUN ["echo", "<<NO"]
ONBUILD RUN cat <<EOF
 trigger
EOF
onbuild copy <<EOF /x
file
EOF
CMD cat <<EOF
