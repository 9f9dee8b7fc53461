# Python and the packages that the services and the load generator run on: one layer for all of them.
# BASE is python:3.11-slim-bookworm if a registry answers, else an image made of Debian packages.
ARG BASE=python:3.11-slim-bookworm
FROM ${BASE}
COPY packages /opt/packages
ENV PYTHONPATH=/opt/packages \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# Neither base has compiled modules. A service with a third of a core would need seconds to compile them at each boot.
# `unchecked-hash`: Python uses the compiled modules without looking at the times of the sources.
RUN python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash -x '/(test|tests|idlelib|lib2to3|tkinter)/' \
    "$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')" /opt/packages
