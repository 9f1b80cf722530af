# fewclicks for every part of compose.yaml but Label Studio, PostgreSQL and the object store.
FROM python:3.11-slim-bookworm

ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PYTHONUNBUFFERED=1 \
    OMP_WAIT_POLICY=PASSIVE \
    DO_NOT_TRACK=1 \
    PREFECT_SERVER_ANALYTICS_ENABLED=false

WORKDIR /opt/fewclicks
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY assist assist
COPY benchmarks benchmarks
COPY configs configs
COPY connectors connectors
COPY dashboard dashboard
COPY fewclicks fewclicks
COPY flows flows
COPY propagation propagation
COPY quality quality
COPY selection selection
COPY workspace workspace

# the last line: both OpenCV packages unpack into one folder, and ours must be the one that stays (docs/faq.md)
RUN pip install -c constraints.txt ".[postgres,s3]" asyncpg==0.32.0 \
    && pip install --force-reinstall --no-deps opencv-contrib-python-headless==4.12.0.88

# nobody's account: what the containers may write is the project and their own home
RUN useradd --create-home --uid 1000 fewclicks
USER fewclicks
WORKDIR /project
CMD ["fewclicks", "--help"]
