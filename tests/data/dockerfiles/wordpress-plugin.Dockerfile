# syntax=docker/dockerfile:1.7-labs
FROM wordpress:6.7-php8.3
COPY --chown=www-data:www-data --exclude=*.md --exclude=tests plugin/ /usr/src/wordpress/wp-content/plugins/shop/
COPY uploads.ini /usr/local/etc/php/conf.d/
HEALTHCHECK NONE
