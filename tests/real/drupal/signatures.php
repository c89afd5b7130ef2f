<?php

/**
 * @file
 * Lets the module's pure classes speak without Drupal: JSON lines in, JSON lines out.
 */

declare(strict_types=1);

use Drupal\commerce_waybill\Signing\MessageSignature;
use Drupal\commerce_waybill\Signing\RefusedSignature;
use Drupal\commerce_waybill\Signing\StandardWebhooks;

spl_autoload_register(static function (string $class): void {
  $file = __DIR__ . '/../../../drupal_module/commerce_waybill/src/' . strtr(substr($class, strlen('Drupal\commerce_waybill\\')), '\\', '/') . '.php';
  if (str_starts_with($class, 'Drupal\commerce_waybill\\') && is_file($file)) {
    require $file;
  }
});

while (($line = fgets(STDIN)) !== FALSE) {
  $asked = json_decode($line, TRUE, 32, JSON_THROW_ON_ERROR);
  if ($asked['ask'] === 'sign') {
    echo json_encode(StandardWebhooks::headers($asked['id'], $asked['timestamp'], $asked['body'], $asked['secret'])), "\n";
    continue;
  }
  try {
    $signature = MessageSignature::parse($asked['input'], $asked['signature']);
    $signature->verify($asked['method'], $asked['target'], $asked['body'], $asked['digest'], $asked['secret'], $asked['now']);
    $verdict = ['key' => $signature->keyId, 'tag' => $signature->tag, 'nonce' => $signature->nonce];
  }
  catch (RefusedSignature | InvalidArgumentException $refused) {
    $verdict = ['refused' => $refused->getMessage()];
  }
  echo json_encode($verdict), "\n";
}
