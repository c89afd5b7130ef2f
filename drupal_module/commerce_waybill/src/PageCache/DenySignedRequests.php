<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill\PageCache;

use Drupal\commerce_waybill\Authentication\SignatureProvider;
use Drupal\Core\PageCache\RequestPolicyInterface;
use Symfony\Component\HttpFoundation\Request;

/**
 * Keeps answers to signed requests out of the page cache.
 *
 * It runs before authentication and would show them to anybody.
 */
class DenySignedRequests implements RequestPolicyInterface {

  /**
   * {@inheritdoc}
   */
  public function check(Request $request): ?string {
    return SignatureProvider::isSigned($request) ? self::DENY : NULL;
  }

}
