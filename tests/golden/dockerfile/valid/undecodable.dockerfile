FROM scratch
COPY fÿ gé /ÿ
COPY ["ÿ", "/"]
ENV A=ÿ B="Ã©"
RUN echo ÿ
COPY <<E /x
ÿ
E
