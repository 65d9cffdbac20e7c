FROM php:8.3-fpm-alpine AS base
RUN apk add --no-cache --virtual .build-deps $PHPIZE_DEPS \
    && docker-php-ext-install pdo_mysql opcache \
    && apk del .build-deps
COPY --from=composer:2 /usr/bin/composer /usr/bin/composer
WORKDIR /var/www/html

FROM base AS vendor
COPY composer.json composer.lock ./
RUN composer install --no-dev --no-scripts --prefer-dist --no-progress

FROM base AS app
COPY --from=vendor --link /var/www/html/vendor ./vendor
COPY --link . .
RUN composer dump-autoload --classmap-authoritative --no-dev \
    && chown -R www-data:www-data storage bootstrap/cache
COPY docker/php.ini "$PHP_INI_DIR/conf.d/zz-app.ini"
USER www-data
