<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill\Signing;

/**
 * A signature that was not accepted; the message may be shown to the sender.
 */
final class RefusedSignature extends \RuntimeException {}
