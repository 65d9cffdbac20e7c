FROM openjdk:11-jre-slim
LABEL maintainer="data@example.org"
ENV KAFKA_HOME=/opt/kafka
ENV PATH=${PATH}:${KAFKA_HOME}/bin
ADD kafka_2.13-3.8.0.tgz /opt
RUN ln -s /opt/kafka_2.13-3.8.0 ${KAFKA_HOME} \
 # Comments may stand here.
 && mkdir -p /var/lib/kafka
VOLUME ["/var/lib/kafka", "/kafka/logs"]
EXPOSE 9092 9093
HEALTHCHECK --start-period=30s --start-interval=2s CMD kafka-topics.sh --bootstrap-server localhost:9092 --list || exit 1
CMD ["kafka-server-start.sh", "/opt/kafka/config/server.properties"]
