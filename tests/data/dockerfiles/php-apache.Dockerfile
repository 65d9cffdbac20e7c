FROM php:8.2-apache
RUN a2enmod rewrite headers
RUN set -eux; \
	apt-get update; \
	apt-get install -y --no-install-recommends libzip-dev unzip; \
	docker-php-ext-install zip mysqli; \
	rm -rf /var/lib/apt/lists/*
ENV APACHE_DOCUMENT_ROOT=/var/www/html/public
RUN sed -ri -e 's!/var/www/html!${APACHE_DOCUMENT_ROOT}!g' /etc/apache2/sites-available/*.conf
COPY --chown=www-data:www-data . /var/www/html/
ONBUILD RUN composer install
