<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill\Controller;

use Drupal\commerce_waybill\Outbox\Outbox;
use Drupal\commerce_waybill\Outbox\Ping;
use Drupal\Component\Datetime\TimeInterface;
use Drupal\Core\DependencyInjection\AutowireTrait;
use Drupal\Core\DependencyInjection\ContainerInjectionInterface;
use Drupal\Core\Extension\ModuleExtensionList;
use Drupal\Core\Extension\ModuleHandlerInterface;
use Symfony\Component\HttpFoundation\JsonResponse;
use Symfony\Component\HttpFoundation\Request;

/**
 * Says what this site can do for the middleware.
 */
class StatusController implements ContainerInjectionInterface {

  use AutowireTrait;

  /**
   * The version of the routes under /waybill/v1; grows with additions.
   */
  public const API = '1.0';

  public function __construct(
    private readonly ModuleHandlerInterface $moduleHandler,
    private readonly ModuleExtensionList $modules,
    private readonly Outbox $outbox,
    private readonly Ping $ping,
    private readonly TimeInterface $time,
  ) {}

  /**
   * Answers the capability probe.
   */
  public function status(): JsonResponse {
    $versions = [];
    foreach (['commerce', 'commerce_shipping', 'commerce_stock', 'commerce_pricelist', 'simple_oauth'] as $name) {
      if ($this->moduleHandler->moduleExists($name)) {
        $versions[$name] = (string) ($this->modules->getExtensionInfo($name)['version'] ?? 'dev');
      }
    }
    $capabilities = array_filter(
      ['operations', 'orders', 'storefront', 'checkout', 'admin'],
      fn (string $name): bool => $this->moduleHandler->moduleExists("commerce_waybill_$name"),
    );
    return new JsonResponse([
      'api' => self::API,
      'capabilities' => ['outbox', 'links', 'signatures', ...array_values($capabilities)],
      'drupal' => \Drupal::VERSION,
      'modules' => (object) $versions,
      'outbox' => $this->outbox->summary(),
      'time' => $this->time->getCurrentTime(),
    ]);
  }

  /**
   * Takes the middleware's answer to a ping.
   */
  public function pong(Request $request): JsonResponse {
    $body = json_decode($request->getContent(), TRUE);
    $id = is_array($body) ? (string) ($body['ping'] ?? '') : '';
    if (!$this->ping->answer($id)) {
      $error = ['status' => '404', 'title' => 'Not Found', 'detail' => 'No such ping was sent in the last minutes.'];
      return new JsonResponse(['errors' => [$error]], 404);
    }
    return new JsonResponse(['ping' => $id]);
  }

}
