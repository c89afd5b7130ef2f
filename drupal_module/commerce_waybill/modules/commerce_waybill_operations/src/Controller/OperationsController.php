<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_operations\Controller;

use Drupal\commerce_waybill_operations\Batch\BatchRunner;
use Drupal\commerce_waybill_operations\Batch\Result;
use Drupal\commerce_waybill_operations\Document\DocumentParser;
use Drupal\commerce_waybill_operations\Error\ErrorObject;
use Drupal\commerce_waybill_operations\Error\Refusal;
use Drupal\Core\Config\ConfigFactoryInterface;
use Drupal\Core\DependencyInjection\AutowireTrait;
use Drupal\Core\DependencyInjection\ContainerInjectionInterface;
use Symfony\Component\HttpFoundation\JsonResponse;
use Symfony\Component\HttpFoundation\Request;

/**
 * Takes batches of operations on resources.
 *
 * @see https://jsonapi.org/ext/atomic/
 */
class OperationsController implements ContainerInjectionInterface {

  use AutowireTrait;

  private const EXTENSION = 'https://jsonapi.org/ext/atomic';

  public function __construct(
    private readonly ConfigFactoryInterface $configFactory,
    private readonly DocumentParser $parser,
    private readonly BatchRunner $runner,
  ) {}

  /**
   * Answers a batch.
   */
  public function handle(Request $request): JsonResponse {
    $most = (int) $this->configFactory->get('commerce_waybill_operations.settings')->get('max_operations');
    try {
      $results = $this->runner->run($this->parser->parse($request->getContent(), $most));
    }
    catch (Refusal $refusal) {
      return $this->answer(['errors' => array_map(static fn (ErrorObject $error): array => $error->toArray(), $refusal->errors)], $refusal->getCode());
    }
    return $this->answer(['atomic:results' => array_map(static fn (Result $result): array => $result->toArray(), $results)], 200);
  }

  /**
   * Makes a JSON:API document.
   */
  private function answer(array $document, int $status): JsonResponse {
    return new JsonResponse(
      ['jsonapi' => ['version' => '1.1', 'ext' => [self::EXTENSION]]] + $document,
      $status,
      ['Content-Type' => sprintf('application/vnd.api+json; ext="%s"', self::EXTENSION)],
    );
  }

}
