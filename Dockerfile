# Two images: `controller` (rcas-controller and rcasctl, without torch) and `trainer` (python -m rcas_trainer).
#   docker build --target controller -t rcas-controller .
#   buildah bud --target trainer -t rcas-trainer .
# PYTHON_IMAGE: any image with python3 (3.11 or later) and its venv module.
# SOURCE_DATE_EPOCH: time stamp of the wheel's files; with the builder's own option for layers (docker: the same argument
# and `--output rewrite-timestamp=true`, buildah: `--timestamp`) the same sources give the same image.
ARG PYTHON_IMAGE=docker.io/library/python:3.11-slim-bookworm

# rcas itself, alone in a tree that lies over the dependencies' environment.
FROM ${PYTHON_IMAGE} AS code
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python3 -m venv /opt/build
COPY requirements/build.txt /src/requirements/
RUN /opt/build/bin/pip install --require-hashes --only-binary :all: -r /src/requirements/build.txt
COPY pyproject.toml README.md LICENSE /src/
COPY controller /src/controller
COPY trainer_image /src/trainer_image
ARG SOURCE_DATE_EPOCH=315532800
# Bytecode: compiled here because the root is read-only where it runs, and never checked against its source because
# both lie in the same layer; so it does not depend on times either.
RUN export SOURCE_DATE_EPOCH PYTHONHASHSEED=0 && \
    /opt/build/bin/pip wheel --no-index --no-deps --no-build-isolation --wheel-dir /src/dist /src && \
    python3 -m venv --without-pip /opt/rcas && \
    /opt/build/bin/pip --python /opt/rcas/bin/python install --no-index --no-deps --no-compile /src/dist/*.whl && \
    /opt/rcas/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/rcas/lib && \
    mkdir /code && cd /opt/rcas && tar --create --sort=name bin/rcas* lib/python3*/site-packages/rcas* | \
    tar --extract --directory /code

FROM ${PYTHON_IMAGE} AS runtime
# HOME: some libraries want to write there; /tmp is the only place that a pod may write to.
ENV PATH=/opt/rcas/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOME=/tmp
WORKDIR /tmp

# kubernetes/aio is the client once more for asyncio, which rcas does not use: a fifth of the image.
FROM runtime AS controller
COPY requirements/controller.txt /opt/rcas/requirements.txt
RUN export PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 && \
    python3 -m venv /opt/rcas && /opt/rcas/bin/pip uninstall --quiet --yes setuptools && \
    /opt/rcas/bin/pip install --no-compile --require-hashes --only-binary :all: -r /opt/rcas/requirements.txt && \
    /opt/rcas/bin/pip uninstall --quiet --yes pip && \
    rm -r /opt/rcas/lib/python3*/site-packages/kubernetes/aio && \
    PYTHONHASHSEED=0 /opt/rcas/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/rcas/lib
COPY --from=code /code /opt/rcas
USER 65532:65532
ENTRYPOINT ["rcas-controller"]
CMD ["--config", "/etc/rcas/config.yaml"]
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="rcas-controller" \
      org.opencontainers.image.description="Architecture search under a budget: the controller of a namespace's searches" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

# torch ships tests in the syntax of a later Python: that these have no bytecode is no error.
FROM runtime AS trainer
COPY requirements/trainer.txt /opt/rcas/requirements.txt
RUN export PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 && \
    python3 -m venv /opt/rcas && /opt/rcas/bin/pip uninstall --quiet --yes setuptools && \
    /opt/rcas/bin/pip install --no-compile --require-hashes --only-binary :all: -r /opt/rcas/requirements.txt && \
    /opt/rcas/bin/pip uninstall --quiet --yes pip && \
    { PYTHONHASHSEED=0 /opt/rcas/bin/python -m compileall -qq -j 0 --invalidation-mode unchecked-hash /opt/rcas/lib || true; }
COPY --from=code /code /opt/rcas
USER 65532:65532
ENTRYPOINT ["python", "-m", "rcas_trainer"]
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="rcas-trainer" \
      org.opencontainers.image.description="Architecture search under a budget: one training of one network" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
