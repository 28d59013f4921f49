<?php
// Receives webhooks with PHP as the vendor documents it: parsed by PHP, and not decoded again.
foreach ($_GET as $parameter => $value) {
    file_put_contents('php://stdout', json_encode([$parameter, json_decode($value, true)]) . "\n");
}
http_response_code(200);
echo 'OK';
