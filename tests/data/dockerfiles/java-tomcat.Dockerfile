FROM tomcat:10.1-jdk17
LABEL org.opencontainers.image.authors="ops@example.org"
RUN rm -rf /usr/local/tomcat/webapps/*
ADD target/shop.war /usr/local/tomcat/webapps/ROOT.war
ENV CATALINA_OPTS="-Xms512M -Xmx1024M"
EXPOSE 8080
CMD ["catalina.sh", "run"]
