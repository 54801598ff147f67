# a comment that ends the directives
# escape=`
FROM scratch
ENV A=1 \

# comment \
   
  B=2 \  
	C=3\
4
RUN echo `x` \\
LABEL a=b\