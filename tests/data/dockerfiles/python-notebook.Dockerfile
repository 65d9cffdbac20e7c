FROM quay.io/jupyter/scipy-notebook:2024-10-02
USER root
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
RUN apt-get update --yes && \
    apt-get install --yes --no-install-recommends ffmpeg dvipng && \
    apt-get clean && rm -rf /var/lib/apt/lists/*
USER ${NB_UID}
COPY --chown=${NB_UID}:${NB_GID} environment.yml /tmp/
RUN mamba env update -n base -f /tmp/environment.yml && \
    mamba clean --all -f -y && \
    fix-permissions "${CONDA_DIR}" && \
    fix-permissions "/home/${NB_USER}"
VOLUME ["/home/jovyan/work"]
